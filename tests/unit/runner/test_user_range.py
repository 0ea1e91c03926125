import os
import shutil
import subprocess
import time

import pytest

from runpass.errors import ConfigurationError, JobError
from runpass.runner import user_range
from runpass.runner.limits import MIB, Limits
from runpass.runner.own_user import OwnUserCell, OwnUserIsolator
from runpass.runner.user_range import RANGE_SIZE, Span, UserRange, abandoned

# Ids of this process of the tests alone: what runs with them is killed.
BASE = 1_900_100_032 + os.getpid() % 100_000 * 2 * 64
LIMITS = Limits(memory_bytes=256 * MIB, processes=4_096, disk_bytes=64 * MIB, files=10_000, open_files=256)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start programs as other users")
# Every 300 microseconds it is another process, in another session, with the old one gone.
HOPPER = """
fork and exit; POSIX::setsid(); fork and exit;
while (1) { select undef, undef, undef, 0.0003; utime undef, undef, $ARGV[0]; fork and POSIX::_exit(0) }
"""


@pytest.fixture
def locks(tmp_path):
    return tmp_path / "locks"


@pytest.fixture
def nothing_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(user_range, "SUBORDINATES", (tmp_path / "subuid", tmp_path / "subgid"))
    return tmp_path


def test_the_last_id_is_never_given_to_a_run(locks, nothing_taken):
    users = UserRange(locks, BASE)
    taken = [users.take() for _ in range(RANGE_SIZE - 1)]
    assert taken == list(range(BASE, BASE + RANGE_SIZE - 1))
    with pytest.raises(JobError):
        users.take()
    users.close()


@pytest.mark.parametrize("name", ["subuid", "subgid"])
@pytest.mark.parametrize(("first", "count"), [(-10, 11), (63, 1), (-100_000, 200_000)])
def test_ids_that_are_somebodys_subordinates_are_refused(locks, nothing_taken, name, first, count):
    (nothing_taken / name).write_text(f"# ours\nother:100000:65536\nme:{BASE + first}:{count}\n")
    with pytest.raises(ConfigurationError, match="are not free"):
        UserRange(locks, BASE)
    (nothing_taken / name).write_text(f"me:{BASE - 10}:10\nme:{BASE + 64}:5\nbroken\n")
    UserRange(locks, BASE).close()


def test_ids_that_are_a_users_are_refused(locks, nothing_taken, monkeypatch):
    known = {BASE + 5}

    def look_up(uid):
        if uid not in known:
            raise KeyError
        return type("Entry", (), {"pw_name": "alice"})

    monkeypatch.setattr(user_range.pwd, "getpwuid", look_up)
    with pytest.raises(ConfigurationError, match="is the user alice"):
        UserRange(locks, BASE)
    known.clear()
    UserRange(locks, BASE).close()


def test_an_abandoned_range_is_held_once_and_then_forgotten(locks, nothing_taken):
    UserRange(locks, BASE).close()
    mine = UserRange(locks, BASE + RANGE_SIZE)
    with abandoned(locks) as spans:
        assert spans == [Span(BASE)]
        with abandoned(locks) as again:
            assert again == []
    assert not (locks / f"{BASE}.lock").exists()
    mine.close()


def test_an_abandoned_range_that_could_not_be_cleared_is_not_forgotten(locks, nothing_taken):
    UserRange(locks, BASE).close()
    with pytest.raises(ConfigurationError), abandoned(locks):
        raise ConfigurationError("no")
    assert (locks / f"{BASE}.lock").exists()


def start_hopper(uid, beat):
    beat.touch()
    os.chown(beat, uid, uid)
    for parent in beat.parents[:-1]:
        parent.chmod(parent.stat().st_mode | 0o011)
    subprocess.run(["/usr/bin/perl", "-MPOSIX", "-e", HOPPER, beat], user=uid, group=uid, extra_groups=[], check=True)
    first = beat.stat().st_mtime_ns
    deadline = time.monotonic() + 5
    while beat.stat().st_mtime_ns == first:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_quiet(beat):
    last = beat.stat().st_mtime_ns
    time.sleep(0.3)
    return beat.stat().st_mtime_ns == last


@as_root
@pytest.mark.skipif(shutil.which("perl", path="/usr/bin") is None, reason="the hopper is written in Perl")
class TestHopper:
    def test_it_does_not_outlive_the_run(self, locks, nothing_taken):
        users = UserRange(locks, BASE)
        for number in range(3):
            cell = OwnUserCell(users, None, 4_096)
            beat = nothing_taken / f"beat-{number}"
            start_hopper(cell.owner.uid, beat)
            assert cell.end() == []
            assert is_quiet(beat)
            cell.release()
        users.close()

    def test_it_does_not_outlive_the_next_start(self, locks, nothing_taken):
        UserRange(locks, BASE).close()
        beats = [nothing_taken / "left", nothing_taken / "own"]
        start_hopper(BASE + 7, beats[0])
        start_hopper(BASE + RANGE_SIZE + 9, beats[1])
        isolator = OwnUserIsolator(locks, BASE + RANGE_SIZE, LIMITS, "")
        isolator.reclaim(nothing_taken)
        assert all(map(is_quiet, beats))
        isolator.close()


@as_root
def test_a_user_whose_processes_could_not_be_killed_is_not_used_again(locks, nothing_taken, monkeypatch):
    users = UserRange(locks, BASE)
    monkeypatch.setattr(users, "kill", lambda _: False)
    cell = OwnUserCell(users, None, 4_096)
    uid = cell.owner.uid
    cell.end()
    cell.release()
    assert uid not in [users.take() for _ in range(RANGE_SIZE - 2)]
    users.close()
