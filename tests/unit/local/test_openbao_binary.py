import os
import stat

import pytest

from runpass.errors import ConfigurationError
from runpass.local.openbao_binary import SHA256, check, find_binary, install_tool, this_platform


def test_every_supported_platform_has_a_pin():
    assert set(SHA256) == {(system, machine) for system in ("linux", "darwin") for machine in ("x86_64", "arm64")}
    assert len(set(SHA256.values())) == 4


def test_a_binary_that_is_not_the_pinned_one_is_refused(tmp_path):
    fake = tmp_path / "bao"
    fake.write_bytes(b"#!/bin/sh\necho canary\n")
    with pytest.raises(ConfigurationError, match="not the one"):
        check(fake, ("linux", "x86_64"))


def test_a_binary_that_changes_is_looked_at_again(tmp_path):
    if not (pin := SHA256.get(this_platform())):
        pytest.skip("no pin for this platform")
    copy = tmp_path / "bao"
    os.link(find_binary(), copy) if find_binary().stat().st_dev == tmp_path.stat().st_dev else None
    if not copy.exists():
        pytest.skip("the binary lies on another file system; a copy would be 180 MB")
    check(copy, this_platform())
    copy.unlink()
    copy.write_bytes(pin.encode())
    with pytest.raises(ConfigurationError, match="not the one"):
        check(copy, this_platform())


def test_a_platform_without_a_pin_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match="plan9 on vax"):
        check(tmp_path / "bao", ("plan9", "vax"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check(tmp_path / "bao", ("linux", "x86_64"))


def test_the_tool_is_linked_when_its_mode_allows_and_copied_otherwise(tmp_path):
    binary = tmp_path / "original"
    binary.write_bytes(b"#!/bin/sh\n")
    binary.chmod(0o755)
    linked = install_tool(binary, tmp_path / "linked")
    assert linked.samefile(binary)
    assert install_tool(binary, tmp_path / "linked") == linked
    binary.chmod(0o700)
    copied = install_tool(binary, tmp_path / "copied")
    assert not copied.samefile(binary)
    assert stat.S_IMODE(copied.stat().st_mode) == 0o755
    assert copied.read_bytes() == binary.read_bytes()
    assert [path.name for path in (tmp_path / "copied").iterdir()] == ["bao"]


def test_a_tool_that_stands_there_already_is_replaced(tmp_path):
    binary = tmp_path / "original"
    binary.write_bytes(b"new")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "bao").write_bytes(b"old")
    assert install_tool(binary, tmp_path / "tools").read_bytes() == b"new"
