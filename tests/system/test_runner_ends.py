"""How a runner ends, what the next one finds, and the runner that cannot isolate."""

import signal

import pytest

from fake_control_plane import FakeControlPlane
from runner_process import NOBODY, RunnerProcess, attack, living, new_mark, until
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import Outcome


@pytest.fixture
def plane():
    with FakeControlPlane(lease_seconds=3.0) as plane:
        yield plane


def test_it_has_to_be_allowed(plane):
    with RunnerProcess(plane, user=NOBODY) as runner:
        assert runner.process.wait(20) == 1
        assert "configuration: Runs cannot be kept apart here" in runner.log


def test_runs_go_one_by_one_and_still_leave_nothing(plane):
    mark = new_mark()
    with RunnerProcess(plane, user=NOBODY, allow_unisolated=True, capacity=4) as runner:
        lease = plane.offer(f"(setsid sh -c '(sleep {mark} &) ; sleep {mark}' >/dev/null 2>&1 &) ; echo ok")
        assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
        assert not living(mark)
        assert plane.registrations[-1].isolation is Isolation.NONE
        assert plane.registrations[-1].capacity == 1
        # Even a process of the same user may not look into the runner's memory or environment.
        assert attack(plane, f"cat /proc/{runner.pid}/environ")[0] is Outcome.FAILURE
        until(lambda: not runner.workspaces())


def test_sigterm_lets_runs_end_and_takes_no_more(plane):
    with RunnerProcess(plane, allow_unisolated=True) as runner:
        lease = plane.offer("echo started; sleep 0.5; echo done")
        plane.wait_logged(lease, "started")
        runner.process.send_signal(signal.SIGTERM)
        until(lambda: "runner_drains" in runner.log)
        later = plane.offer("echo never")
        assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
        assert runner.process.wait(10) == 0
        # It may have been handed to a poll that the runner had given up: nobody ever speaks of it.
        assert later.lease_id not in {*plane.heartbeats, *plane.steps, *plane.finishes}
        assert runner.workspaces() == []


def test_runs_are_aborted_when_the_time_to_drain_is_over(plane):
    mark = new_mark()
    with RunnerProcess(plane, allow_unisolated=True, drain_seconds=0.1) as runner:
        lease = plane.offer(f"echo started; sleep {mark}")
        plane.wait_logged(lease, "started")
        runner.process.send_signal(signal.SIGTERM)
        finish = plane.wait_finished(lease)
        assert finish.outcome is Outcome.ABORTED
        assert finish.error == "The runner was shut down while the run was going on."
        assert runner.process.wait(10) == 0
        assert not living(mark)


def test_a_second_signal_leaves_no_grace(plane):
    mark = new_mark()
    with RunnerProcess(plane, allow_unisolated=True, grace_seconds=60) as runner:
        lease = plane.offer(f"trap '' TERM; echo started; sleep {mark}")
        plane.wait_logged(lease, "started")
        runner.process.send_signal(signal.SIGTERM)
        until(lambda: "runner_drains" in runner.log)
        runner.process.send_signal(signal.SIGINT)
        assert plane.wait_finished(lease, 10).outcome is Outcome.ABORTED
        assert runner.process.wait(10) == 0
        assert not living(mark)


def test_a_runner_whose_key_was_revoked_ends_its_runs_and_itself(plane):
    mark = new_mark()
    with RunnerProcess(plane, allow_unisolated=True) as runner:
        lease = plane.offer(f"echo started; sleep {mark}")
        plane.wait_logged(lease, "started")
        plane.revoked = True
        assert runner.process.wait(20) == 1
        assert "unauthenticated" in runner.log
        assert not living(mark)
        assert runner.workspaces() == []


@pytest.mark.parametrize("user", [pytest.param(None, id="as-it-is"), pytest.param(NOBODY, id="unisolated")])
def test_what_a_killed_runner_left_is_gone_when_the_next_one_starts(plane, user):
    mark = new_mark()
    with RunnerProcess(plane, user=user, allow_unisolated=True) as runner:
        lease = plane.offer(f"(setsid sleep {mark} >/dev/null 2>&1 &); echo started; sleep {mark}")
        plane.wait_logged(lease, "started")
        runner.process.kill()
        runner.process.wait()
        assert living(mark)
        assert runner.workspaces() == [runner.place_of(lease).name]
        with RunnerProcess(plane, user=user, base=runner.base, allow_unisolated=True, join_token="used up") as again:
            assert plane.wait_finished(plane.offer("echo here")).outcome is Outcome.SUCCESS
            until(lambda: not again.workspaces())
            assert not living(mark)
            assert len(plane.registrations) == 1  # the kept key, not the join token


def test_a_runner_waits_for_a_server_that_is_not_up_yet_and_can_be_stopped_meanwhile():
    with FakeControlPlane() as plane:
        pass
    with RunnerProcess(plane, allow_unisolated=True) as runner:
        until(lambda: "not_joined" in runner.log)
        runner.process.send_signal(signal.SIGTERM)
        assert runner.process.wait(10) == 0


def test_a_join_token_that_is_not_known_stops_the_start(plane):
    with RunnerProcess(plane, allow_unisolated=True, join_token="wrong") as runner:
        assert runner.process.wait(20) == 1
        assert "unauthenticated: this join token is not known" in runner.log
        assert "wrong" not in runner.log


def test_a_runner_that_must_isolate_in_one_way_does_not_start_in_another(plane):
    with RunnerProcess(plane, user=NOBODY, isolation="uid", allow_unisolated=True) as runner:
        assert runner.process.wait(20) == 1
        assert "configuration: Runs cannot be kept apart by uid here" in runner.log


def test_a_runner_may_be_told_to_isolate_nothing(plane):
    with RunnerProcess(plane, isolation="none", allow_unisolated=True) as runner:
        assert plane.wait_finished(plane.offer("true")).outcome is Outcome.SUCCESS
        assert plane.registrations[-1].isolation is Isolation.NONE
    with RunnerProcess(plane, isolation="none") as runner:
        assert runner.process.wait(20) == 1
