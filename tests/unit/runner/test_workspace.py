import os

import pytest

from runpass.errors import ConfigurationError, JobError
from runpass.runner.cell import Owner
from runpass.runner.workspace import OUTPUT_NAME, WorkspaceRoot

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def root(tmp_path):
    opened = WorkspaceRoot(tmp_path / "work", for_others=False)
    yield opened
    opened.close()


def test_a_workspace_has_its_parts_and_scripts_for_its_owner_alone(root):
    place = root.make("d1", None, ["echo one", "echo two"])
    assert [script.read_text() for script in place.scripts] == ["echo one\n", "echo two\n"]
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in (place.directory, place.root, place.home, place.tmp))
    assert all(script.stat().st_mode & 0o777 == 0o600 for script in place.scripts)


@as_root
def test_all_of_a_workspace_belongs_to_the_runs_user(root):
    place = root.make("d1", Owner(234567, 234567), ["true"])
    for path in (place.directory, *place.directory.rglob("*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (234567, 234567)


def test_the_files_of_a_vault_stand_beside_the_scripts_for_their_owner_alone(root):
    place = root.make("d1", None, ["true"], {"ca.pem": b"CA", "client-key.pem": b"KEY"})
    assert {name: path.read_text() for name, path in place.files.items()} == {"ca.pem": "CA", "client-key.pem": "KEY"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in place.files.values())
    assert {path.parent for path in place.files.values()} == {place.scripts[0].parent}


def test_a_workspace_is_removed_whatever_is_in_it(root, tmp_path):
    place = root.make("d1", None, ["true"])
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("here")
    (place.root / "link").symlink_to(outside)
    (place.root / "dangling").symlink_to("/nonexistent")
    os.mkfifo(place.root / "fifo")
    closed = place.root / "closed"
    (closed / "below").mkdir(parents=True)
    (closed / "below" / "file").write_text("")
    (closed / "below").chmod(0)
    closed.chmod(0)
    place.root.chmod(0)
    root.remove(place)
    assert not place.directory.exists()
    assert (outside / "precious").read_text() == "here"


def test_a_tree_deeper_than_any_stack_is_removed(root):
    place = root.make("d1", None, [])
    here = os.open(place.root, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    root.remove(place)
    assert not place.directory.exists()


def test_a_link_in_place_of_the_workspace_is_not_followed(root, tmp_path):
    place = root.make("d1", None, [])
    moved = tmp_path / "moved"
    place.directory.rename(moved)
    place.directory.symlink_to(moved)
    root.remove(place)
    assert not place.directory.is_symlink()
    assert moved.is_dir()


def test_removing_what_is_gone_is_no_error(root):
    place = root.make("d1", None, [])
    root.remove(place)
    root.remove(place)


def test_a_leftover_of_the_same_name_does_not_reach_the_next_run(root):
    place = root.make("d1", None, [])
    (place.root / "planted").write_text("")
    again = root.make("d1", None, [])
    assert list(again.root.iterdir()) == []


def test_leftovers_are_reclaimed(root):
    first, second = root.make("d1", None, ["true"]), root.make("d2", None, [])
    assert sorted(root.reclaim()) == ["d1", "d2"]
    assert not first.directory.exists()
    assert not second.directory.exists()


def test_two_runners_cannot_share_a_work_directory(root, tmp_path):
    with pytest.raises(ConfigurationError, match="another runner"):
        WorkspaceRoot(tmp_path / "work", for_others=False)


def test_a_work_directory_that_runs_cannot_reach_stops_the_start(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="closed to others"):
        WorkspaceRoot(closed / "work", for_others=True)


def test_a_workspace_that_cannot_be_made_says_so(root):
    with pytest.raises(JobError):
        root.make("d1", None, [], {"no-such-directory/ca.pem": b"CA"})


def test_what_a_run_left_in_its_output_file_is_read_to_a_limit(root):
    place = root.make("d1", None, [])
    assert root.read_left(place, None, OUTPUT_NAME, 10) is None
    place.output.write_bytes(b"x" * 20)
    assert root.read_left(place, None, OUTPUT_NAME, 10) == b"x" * 11


@pytest.mark.parametrize("what", ["link", "hard link", "directory", "fifo", "link on the way"])
def test_only_a_plain_file_of_the_runs_own_is_read_as_its_output(root, tmp_path, what):
    place = root.make("d1", None, [])
    precious = tmp_path / "precious"
    precious.write_text("{}")
    match what:
        case "link":
            place.output.symlink_to(precious)
        case "hard link":
            os.link(precious, place.output)
        case "directory":
            place.output.mkdir()
        case "fifo":
            os.mkfifo(place.output)
        case _:
            elsewhere = tmp_path / "elsewhere"
            elsewhere.mkdir()
            (elsewhere / place.output.name).write_text("{}")
            place.tmp.rmdir()
            place.tmp.symlink_to(elsewhere)
    with pytest.raises(JobError):
        root.read_left(place, None, OUTPUT_NAME, 10)


def test_a_file_of_somebody_else_is_not_read_as_the_output(root):
    place = root.make("d1", None, [])
    place.output.write_text("{}")
    with pytest.raises(JobError, match="of the run's own"):
        root.read_left(place, Owner(os.geteuid() + 1, os.getegid()), OUTPUT_NAME, 10)


@pytest.fixture
def made(tmp_path):
    root = WorkspaceRoot(tmp_path / "work", for_others=False)
    yield root, root.make("run", None, ["true"])
    root.close()


def test_a_file_in_the_home_directory_takes_the_place_of_what_stood_there(made, tmp_path):
    root, workspace = made
    target = tmp_path / "of-somebody-else"
    target.write_text("untouched")
    (workspace.home / ".vault-token").symlink_to(target)
    root.put_into_home(workspace, None, ".vault-token", b"token")
    assert (workspace.home / ".vault-token").read_bytes() == b"token"
    assert not (workspace.home / ".vault-token").is_symlink()
    assert (workspace.home / ".vault-token").stat().st_mode & 0o777 == 0o600
    assert target.read_text() == "untouched"
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [".lock", "run"]


def test_no_file_is_put_where_a_link_leads_to(made, tmp_path):
    root, workspace = made
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    workspace.home.rmdir()
    workspace.home.symlink_to(elsewhere)
    with pytest.raises(JobError, match="could not be written"):
        root.put_into_home(workspace, None, ".vault-token", b"token")
    assert list(elsewhere.iterdir()) == []


def test_a_directory_in_the_place_of_the_file_is_told_and_leaves_nothing(made, tmp_path):
    root, workspace = made
    (workspace.home / ".vault-token").mkdir()
    with pytest.raises(JobError, match="could not be written"):
        root.put_into_home(workspace, None, ".vault-token", b"token")
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [".lock", "run"]
