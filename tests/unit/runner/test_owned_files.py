"""Files of a run that the runner writes: whose they are, and that nothing is written when the run is over."""

import pytest

from runpass.errors import JobError
from runpass.runner.owned_files import OwnedFiles
from runpass.runner.workspace import Workspace


def files_of(tmp_path, name="run"):
    directory = tmp_path / name
    directory.mkdir(parents=True)
    return OwnedFiles(Workspace(directory, (), {}), None, "identity")


def test_a_file_is_private_and_replaced_in_one_step(tmp_path):
    files = files_of(tmp_path)
    path = files.write("token", b"first")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"first", 0o600)
    files.write("token", b"second")
    assert path.read_bytes() == b"second"
    assert [item.name for item in path.parent.iterdir()] == ["token"]
    files.close()


def test_nothing_is_written_after_the_end_whoever_has_the_number_of_its_directory_now(tmp_path):
    files = files_of(tmp_path)
    files.close()
    other = files_of(tmp_path, "other")  # most likely with the descriptor that was just closed
    with pytest.raises(JobError, match="the run is over"):
        files.write("token", b"of somebody else")
    files.close()
    assert list((tmp_path / "other" / "identity").iterdir()) == []
    other.close()


def test_a_directory_that_was_moved_is_written_to_and_no_link_in_its_place(tmp_path):
    files = files_of(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    files.path.rename(tmp_path / "moved")
    files.path.symlink_to(elsewhere)
    files.write("token", b"x")
    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "moved" / "token").read_bytes() == b"x"
    files.close()
