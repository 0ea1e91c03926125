"""A secret file that several servers may make at the same moment: one content, whole from the first look."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runpass.server.opening import secret_file


def test_of_many_makers_at_once_all_get_the_same_whole_content(tmp_path: Path):
    file = tmp_path / "keys" / "master.key"
    begin = threading.Barrier(8)

    def make(_: int) -> bytes:
        begin.wait()
        return secret_file(file, 32, "master key file")

    with ThreadPoolExecutor(8) as threads:
        contents = set(threads.map(make, range(8)))
    assert contents == {file.read_bytes()}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_it_is_whole_before_it_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "master.key"
    seen = []
    real = os.link

    def link(source: Path, target: Path) -> None:
        seen.append((target.exists(), len(source.read_bytes()), stat.S_IMODE(source.stat().st_mode)))
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    secret_file(file, 32, "master key file")
    assert seen == [(False, 32, 0o600)]
