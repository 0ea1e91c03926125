"""Isolation by user: what a hostile job can reach when every run is a user of its own."""

import os
import shutil
import time
from pathlib import Path
from uuid import uuid4

import pytest

from fake_control_plane import FakeControlPlane
from runner_process import RunnerProcess, attack, living, new_mark, until
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import LogLevel, Outcome

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give runs users of their own")


@pytest.fixture(scope="module")
def plane():
    with FakeControlPlane() as plane:
        yield plane


@pytest.fixture(scope="module")
def runner(plane):
    with RunnerProcess(plane) as runner:
        yield runner


def test_every_run_is_a_user_of_its_own_without_groups_or_rights(plane, runner):
    users = set()
    for _ in range(2):
        outcome, log = attack(plane, "id -u; id -G; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; umask")
        user, groups, *rest = log.splitlines()
        assert outcome is Outcome.SUCCESS
        assert user == groups
        assert rest == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "0077"]
        users.add(int(user))
    assert len(users) == 2
    assert min(users) >= 1_900_000_000


@pytest.mark.parametrize(
    "what",
    [
        "cat /proc/{runner.pid}/environ",
        "cat /proc/{runner.pid}/mem",
        "ls /proc/{runner.pid}/fd",
        "cat {runner.state_dir}/runner.json",
        "ls {runner.state_dir}",
        "ls {runner.work_dir}",
        "touch {runner.work_dir}/planted",
        "kill -9 {runner.pid}",
    ],
)
def test_a_job_cannot_reach_the_runner(plane, runner, what):
    outcome, log = attack(plane, what.format(runner=runner))
    assert outcome is Outcome.FAILURE
    assert "denied" in log or "not permitted" in log
    assert runner.process.poll() is None


def test_a_job_cannot_reach_another_run(plane, runner):
    wait = f"until [ -e {runner.base}/go ]; do sleep 0.05; done"
    victim = plane.offer("umask 022; echo secret > file; chmod 644 file; echo $$; echo written; " + wait)
    plane.wait_logged(victim, "written")
    pid = plane.log(victim).splitlines()[0]
    place = runner.place_of(victim)
    for what in (f"cat {place}/workspace/file", f"ls {place}", f"cat /proc/{pid}/environ", f"kill -9 {pid}"):
        outcome, log = attack(plane, what)
        assert outcome is Outcome.FAILURE
        assert "denied" in log or "not permitted" in log
    (runner.base / "go").touch()
    assert plane.wait_finished(victim).outcome is Outcome.SUCCESS


def test_nothing_that_a_job_left_in_shared_directories_stays(plane, runner):
    name = f"/tmp/left-{uuid4().hex}"  # noqa: S108 -- the job does, on purpose
    outcome, _ = attack(plane, f"mkdir -p {name}/below; touch {name}/below/file {name}.file; ls {name}")
    assert outcome is Outcome.SUCCESS
    assert not os.path.lexists(name)
    assert not os.path.lexists(f"{name}.file")


def test_a_second_runner_of_the_host_uses_other_users(plane, runner):
    with FakeControlPlane() as other_plane, RunnerProcess(other_plane):
        first = int(attack(plane, "id -u")[1])
        second = int(attack(other_plane, "id -u")[1])
    assert first // 64 != second // 64


def test_the_runner_says_how_it_isolates(plane, runner):
    plane.wait(lambda: plane.registrations)
    assert plane.registrations[-1].isolation is Isolation.UID
    until(lambda: "runner_started" in runner.log)
    assert "a user of its own" in runner.log


def test_the_run_can_enter_only_what_it_may_whatever_it_made_of_its_workspace(plane, runner):
    closed = runner.base / "closed"
    (closed / "sub").mkdir(parents=True)
    (closed / "sub" / "file").write_text("the host's secret")
    (closed / "sub").chmod(0o755)
    (closed / "sub" / "file").chmod(0o644)
    closed.chmod(0o700)
    lease = plane.offer(f"cd ..; mv workspace w2; ln -s {closed}/sub workspace", "pwd; ls; cat file")
    assert plane.wait_finished(lease).outcome is Outcome.FAILURE
    assert plane.log(lease, LogLevel.INFO) == ""
    assert "The workspace cannot be entered" in plane.log(lease, LogLevel.ERROR)


# Every two milliseconds it is another process, in another session, with the old one gone.
HOPPER = (
    "perl -MPOSIX -e 'fork and exit; POSIX::setsid(); fork and exit; close STDIN; close STDOUT; close STDERR;"
    " while (1) {{ select undef, undef, undef, 0.002; utime undef, undef, qq({beat}); fork and POSIX::_exit(0) }}'"
)


@pytest.mark.skipif(shutil.which("perl") is None, reason="the hopper is written in Perl")
def test_a_process_that_is_another_one_every_moment_does_not_outlive_its_run(plane, runner):
    place = runner.base / "beats"
    place.mkdir()
    place.chmod(0o777)
    for number in range(3):
        beat = place / str(number)
        beat.touch()
        beat.chmod(0o666)
        lease = plane.offer(HOPPER.format(beat=beat) + "; echo hopping; sleep 0.3")
        plane.wait_logged(lease, "hopping")
        before = beat.stat().st_mtime_ns
        until(lambda beat=beat, before=before: beat.stat().st_mtime_ns != before)
        assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
        assert_is_quiet(beat)


def assert_is_quiet(beat):
    last = beat.stat().st_mtime_ns
    time.sleep(0.3)
    assert beat.stat().st_mtime_ns == last


def test_a_process_without_its_first_thread_does_not_outlive_its_run(plane, runner):
    mark = new_mark()
    code = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(300,)).start(); "
    code += "ctypes.CDLL(None).pthread_exit(None)"
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("the system has no Python for jobs")
    lease = plane.offer(f'(setsid {python} -I -c "{code}" {mark} >/dev/null 2>&1 &); sleep 0.3; id -u')
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    assert not living(mark)
    assert processes_of(int(plane.log(lease, LogLevel.INFO))) == []


def processes_of(uid):
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid == uid:
                found.append(path.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(shutil.which("ipcmk") is None, reason="ipcmk makes what is to be left")
def test_nothing_of_system_v_that_a_job_left_stays(plane, runner):
    outcome, log = attack(plane, "ipcmk -M 1024 >/dev/null; ipcmk -S 1 >/dev/null; ipcmk -Q >/dev/null; ipcs; id -u")
    assert outcome is Outcome.SUCCESS
    uid = log.splitlines()[-1]
    for kind in ("shm", "sem", "msg"):
        assert uid not in Path("/proc/sysvipc", kind).read_text().split()


def test_what_a_job_orphaned_is_reaped_while_it_runs(plane, runner):
    lease = plane.offer("for i in 1 2 3 4 5; do (sleep 0.05 &); done; sleep 2.5", "sleep 0.1")
    until(lambda: dead_children(runner.pid))
    until(lambda: not dead_children(runner.pid))
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS


def dead_children(parent):
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] == "Z" and int(fields[1]) == parent:
            found.append(path.name)
    return found


def test_the_runner_says_that_command_lines_are_visible(plane, runner):
    if "hidepid=" in Path("/proc/mounts").read_text():
        pytest.skip("they are not")
    until(lambda: "command_lines_are_visible" in runner.log)


def test_a_job_names_values_that_are_masked_from_then_on(plane, runner):
    _, log = attack(plane, "echo fetched-by-the-job >> $RUNPASS_MASK_FILE; echo fetched-by-the-job")
    assert log.splitlines() == ["***"]
