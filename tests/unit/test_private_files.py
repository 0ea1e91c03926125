"""Private files: their mode, their replacement, and what a failure leaves."""

import os
import stat
from pathlib import Path

import pytest

from runpass.private_files import replace_private


@pytest.fixture
def wide_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_private_file_is_private_whatever_the_umask_says(tmp_path: Path, wide_umask):
    replace_private(tmp_path / "key", b"secret")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_an_older_file_and_its_wider_mode_are_replaced(tmp_path: Path):
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    replace_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["key"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path):
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    replace_private(tmp_path / "key", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"
    assert not (tmp_path / "key").is_symlink()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    (tmp_path / "key").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 -- a directory cannot be replaced by a file: the kind differs by system
        replace_private(tmp_path / "key", b"new")
    assert [item.name for item in tmp_path.iterdir()] == ["key"]
