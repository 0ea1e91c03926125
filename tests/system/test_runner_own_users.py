"""Isolation by user: what a hostile job can reach when every run is a user of its own."""

import os
from uuid import uuid4

import pytest

from fake_control_plane import FakeControlPlane
from runner_process import RunnerProcess, attack, until
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import Outcome

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
    assert min(users) >= 200_000


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
    place = f"{runner.work_dir}/{victim.run.deployment_id}"
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
