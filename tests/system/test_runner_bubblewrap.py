"""Isolation by namespaces: what a hostile job can reach from its sandbox, under a runner that is not root."""

import shutil

import pytest

from fake_control_plane import FakeControlPlane
from runner_process import NOBODY, RunnerProcess, attack, living, new_mark, until
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import LogLevel, Outcome
from services import missing


@pytest.fixture(scope="module")
def plane():
    with FakeControlPlane(lease_seconds=3.0) as plane:
        yield plane


@pytest.fixture(scope="module")
def runner(plane):
    if shutil.which("bwrap") is None:
        missing("bubblewrap", "bwrap is not on PATH")
    with RunnerProcess(plane, user=NOBODY, bwrap=True) as runner:
        until(lambda: "runner_started" in runner.log or runner.process.poll() is not None)
        if '"isolation": "bubblewrap"' not in runner.log:
            missing("bubblewrap", f"it does not work here: {runner.log}")
        yield runner


def test_a_run_works_in_its_sandbox(plane, runner):
    outcome, log = attack(plane, "pwd; touch file; ls; echo $HOME; touch $HOME/x $TMPDIR/y /tmp/z")
    assert outcome is Outcome.SUCCESS
    assert log.splitlines()[0].startswith(str(runner.work_dir))
    assert log.splitlines()[1] == "file"
    assert plane.registrations[-1].isolation is Isolation.BUBBLEWRAP


@pytest.mark.parametrize(
    "what",
    [
        "cat /proc/{runner.pid}/environ",
        "cat {runner.state_dir}/runner.json",
        "ls {runner.state_dir}",
        "ls /root",
        "ls /home",
        "cat {runner.log_file}",
        "kill -0 {runner.pid}",
        "touch /usr/bin/planted",
    ],
)
def test_a_job_cannot_reach_the_host(plane, runner, what):
    outcome, _ = attack(plane, what.format(runner=runner))
    assert outcome is Outcome.FAILURE
    assert runner.process.poll() is None


def test_a_job_sees_neither_other_runs_nor_their_processes(plane, runner):
    mark = new_mark()
    victim = plane.offer(f"echo started; sleep {mark}")
    plane.wait_logged(victim, "started")
    _, log = attack(plane, f"ls {runner.work_dir}; cat /proc/[0-9]*/cmdline")
    assert str(victim.run.deployment_id) not in log
    assert mark not in log.replace(f"sleep {mark}; cat", "")
    plane.lose(victim)
    until(lambda: not living(mark))


def test_an_abort_lets_a_sandboxed_command_end_by_itself(plane, runner):
    lease = plane.offer(
        "trap 'echo goodbye; exit 0' TERM; echo started; while :; do sleep 0.05; done", timeout_seconds=1
    )
    assert plane.wait_finished(lease).outcome is Outcome.TIMEOUT
    assert plane.log(lease, LogLevel.INFO) == "started\ngoodbye"


def test_a_process_that_left_its_group_and_parent_is_killed(plane, runner):
    mark = new_mark()
    lease = plane.offer(f"(setsid sh -c '(sleep {mark} &) ; sleep {mark}' >/dev/null 2>&1 &) ; echo ok")
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    assert not living(mark)


def test_a_job_names_values_that_are_masked_from_then_on(plane, runner):
    _, log = attack(plane, "echo fetched-by-the-job >> $RUNPASS_MASK_FILE; echo fetched-by-the-job")
    assert log.splitlines() == ["***"]


@pytest.mark.parametrize("place", ["tmp", "shm"])
def test_a_command_cannot_lead_the_next_ones_sandbox_to_a_directory_of_the_host(plane, runner, place):
    """SECURITY: bubblewrap resolves what it binds outside of the sandbox, where a link may lead anywhere."""
    swap = f"cd .. && mv {place} {place}-away && ln -s {runner.state_dir} {place}"
    lease = plane.offer(swap, "ls /tmp /dev/shm; echo reached")
    finish = plane.wait_finished(lease)
    assert finish.outcome is not Outcome.SUCCESS
    assert f"in the place of its own directory {place}" in (finish.error or "")
    assert "runner.json" not in plane.log(lease)
    assert "reached" not in plane.log(lease)
