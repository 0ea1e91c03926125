"""Holding a run lease: who may report, until when, and what happens when nobody does."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from factories import LEASE, Tenant, World, holder
from runpass.errors import Conflict, StaleLease
from runpass.ids import RunLeaseId, new_id
from runpass.protocol.reports import MAX_NUMBER, Finish, LogEvent, LogLevel, Outcome, Refusal, Report, Step, StepStatus
from runpass.protocol.run_lease import RunLease, Wish
from runpass.secret import Secret
from runpass.server.deployments import log_store, store
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.model import Deployment, DeploymentStatus
from runpass.server.deployments.run_leases import RUNNER_LOST, Holder, end_expired, finish, heartbeat, save_report, take
from runpass.server.deployments.transitions import Event
from runpass.server.runners.model import Runner
from runpass.server.tenancy.environment_store import get_environment
from runpass.server.tenancy.model import Environment, EnvironmentStatus

MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Run:
    """A run that a runner holds."""

    world: World
    tenant: Tenant
    environment: Environment
    runner: Runner
    lease: RunLease

    def holder(self, **changes: Any) -> Holder:
        return replace(holder(self.runner, self.lease), **changes)

    def deployment(self) -> Deployment:
        with self.world.database.read() as tx:
            found = store.get_deployment(tx, self.tenant.id, self.lease.run.deployment_id)
        assert found is not None
        return found

    def report(self, *steps: Step, **changes: Any) -> None:
        events = tuple(
            LogEvent(step=step.name, number=1, at=self.world.clock.now(), level=LogLevel.INFO, message="line")
            for step in steps
        )
        body = Report(fencing_token=self.lease.fencing_token, steps=steps, events=events)
        save_report(self.world.rules, self.holder(**changes), body)

    def finish(self, outcome: Outcome = Outcome.SUCCESS, **said: Any) -> None:
        last_word = Finish(fencing_token=self.lease.fencing_token, outcome=outcome, **said)
        finish(self.world.rules, self.holder(), last_word)

    def abort(self) -> None:
        with self.world.database.write() as tx:
            change_state(tx, self.deployment(), Event.ABORT, by="test", now=self.world.clock.now())


@pytest.fixture
def run(tenant: Tenant, world: World) -> Run:
    _, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    runner = tenant.runner(capacity=2)
    lease = take(world.rules, runner)
    assert lease is not None
    return Run(world, tenant, environment, runner, lease)


def everything_a_holder_may_do(run: Run) -> list[Callable[[Holder], object]]:
    rules, token = run.world.rules, run.lease.fencing_token
    return [
        lambda who: heartbeat(rules, who),
        lambda who: save_report(rules, who, Report(fencing_token=token)),
        lambda who: finish(rules, who, Finish(fencing_token=token, outcome=Outcome.SUCCESS)),
    ]


def refused(run: Run, who: Holder) -> None:
    sentences = set()
    for act in everything_a_holder_may_do(run):
        with pytest.raises(StaleLease) as error:
            act(who)
        sentences.add(error.value.message)
    assert sentences == {"this run lease is not held by the caller, or no longer"}


def test_the_holder_reports_keeps_and_ends_its_run(run: Run):
    run.report(Step(name="run", order=1, status=StepStatus.IN_PROGRESS))
    assert heartbeat(run.world.rules, run.holder()).wish is Wish.GO_ON
    run.finish()
    ended = run.deployment()
    assert (ended.status, ended.finished_at) == (DeploymentStatus.SUCCESS, run.world.clock.now())


def test_a_wrong_secret_is_refused(run: Run):
    refused(run, run.holder(secret=Secret("rpl_wrong")))
    refused(run, run.holder(secret=Secret("")))


def test_another_runner_with_the_right_secret_is_refused(run: Run):
    refused(run, run.holder(runner=run.tenant.runner()))
    refused(run, run.holder(runner=run.world.tenant("stranger").runner()))


def test_an_older_or_newer_fencing_token_is_refused(run: Run):
    refused(run, run.holder(fencing_token=run.lease.fencing_token - 1))
    refused(run, run.holder(fencing_token=run.lease.fencing_token + 1))


def test_an_unknown_lease_is_refused(run: Run):
    refused(run, run.holder(lease_id=RunLeaseId(new_id())))


def test_the_secret_of_one_run_is_useless_for_another(run: Run):
    project = run.tenant.project("other")
    run.tenant.queue(run.tenant.environment(project, run.tenant.template(project)))
    other = take(run.world.rules, run.runner)
    assert other is not None
    refused(run, run.holder(secret=other.lease_secret))


def test_a_late_report_is_refused(run: Run):
    run.world.clock.advance(LEASE - MOMENT)
    heartbeat(run.world.rules, run.holder())
    run.world.clock.advance(LEASE - MOMENT)
    run.report()
    run.world.clock.advance(MOMENT)
    refused(run, run.holder())


def test_a_finished_run_is_over(run: Run):
    run.finish(Outcome.FAILURE, error="it broke", failed_step="run")
    refused(run, run.holder())
    ended = run.deployment()
    assert (ended.status, ended.error, ended.failed_step) == (DeploymentStatus.FAILURE, "it broke", "run")


def test_of_many_last_words_at_once_one_counts(run: Run):
    outcomes = [Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIMEOUT, Outcome.ABORTED] * 2

    def end(outcome: Outcome) -> Outcome | None:
        try:
            run.finish(outcome)
        except Conflict:
            return None
        return outcome

    with ThreadPoolExecutor(8) as threads:
        (counted,) = [item for item in threads.map(end, outcomes) if item]
    expected = {Outcome.ABORTED: "ABORTED", Outcome.TIMEOUT: "TIMEOUT"}.get(counted, counted.value.upper())
    assert run.deployment().status.value == expected


@pytest.mark.parametrize(
    ("outcome", "status", "environment"),
    [
        (Outcome.SUCCESS, DeploymentStatus.SUCCESS, EnvironmentStatus.ACTIVE),
        (Outcome.FAILURE, DeploymentStatus.FAILURE, EnvironmentStatus.FAILED),
        (Outcome.TIMEOUT, DeploymentStatus.TIMEOUT, EnvironmentStatus.TIMEOUT),
        (Outcome.ABORTED, DeploymentStatus.ABORTED, EnvironmentStatus.ABORTED),
        (Outcome.INTERNAL_FAILURE, DeploymentStatus.INTERNAL_FAILURE, EnvironmentStatus.FAILED),
    ],
)
def test_how_a_run_ends_shows_on_its_deployment_and_environment(
    run: Run, outcome: Outcome, status: DeploymentStatus, environment: EnvironmentStatus
):
    run.finish(outcome)
    assert run.deployment().status is status
    with run.world.database.read() as tx:
        found = get_environment(tx, run.tenant.id, run.environment.id)
    assert found is not None
    assert found.status is environment


def test_a_refusal_is_kept_word_for_word(run: Run):
    refusal = Refusal(code="vault.denied", reason="no role", vault_error='role "x"\nnot found', hint="make it")
    run.finish(Outcome.FAILURE, refusal=refusal)
    assert run.deployment().refusal == refusal.model_dump(mode="json", by_alias=True)


def test_text_of_a_run_can_be_kept_whatever_it_holds(run: Run):
    odd = "nul \x00, bell \x07, é, \U0001f512"
    step = Step(name=f"s{odd}"[:20], order=1, status=StepStatus.IN_PROGRESS)
    run.report(step)
    run.finish(Outcome.FAILURE, error=odd, failed_step=odd, refusal=Refusal(code="x", reason=odd, vault_error=odd))
    ended = run.deployment()
    assert ended.error == ended.failed_step == odd.replace("\x00", "\ufffd")
    with run.world.database.read() as tx:
        assert len(log_store.list_events(tx, ended.id, step.name, after=0, limit=9)) == 1


def test_a_runner_hears_of_an_abort_with_its_next_heartbeat(run: Run):
    run.abort()
    assert heartbeat(run.world.rules, run.holder()).wish is Wish.ABORT
    run.finish(Outcome.ABORTED)
    assert run.deployment().status is DeploymentStatus.ABORTED


def test_a_lost_runner_ends_its_deployment_and_frees_the_environment(run: Run):
    run.report(Step(name="run", order=1, status=StepStatus.IN_PROGRESS, started_at=run.world.clock.now()))
    following = run.tenant.queue(run.environment)
    assert end_expired(run.world.rules) == []
    run.world.clock.advance(LEASE)

    (lost,) = end_expired(run.world.rules)

    assert lost.id == run.lease.run.deployment_id
    ended = run.deployment()
    assert (ended.status, ended.error) == (DeploymentStatus.INTERNAL_FAILURE, RUNNER_LOST)
    assert ended.finished_at == run.world.clock.now()
    with run.world.database.read() as tx:
        (step,) = log_store.list_steps(tx, ended.id)
        last = log_store.list_events(tx, ended.id, "run", after=1, limit=9)
    assert step.status is StepStatus.FAIL
    assert [(item.level, RUNNER_LOST in item.message) for item in last] == [(LogLevel.SYSTEM, True)]
    refused(run, run.holder())
    lease = take(run.world.rules, run.tenant.runner())
    assert lease is not None
    assert lease.run.deployment_id == following.id
    assert end_expired(run.world.rules) == []


def test_a_clock_that_is_set_back_keeps_no_dead_runners_lease_and_ends_no_live_one(run: Run):
    run.report(Step(name="run", order=1, status=StepStatus.IN_PROGRESS, started_at=run.world.clock.now()))
    run.world.clock.advance(timedelta(days=-1))
    assert end_expired(run.world.rules) == []
    run.world.clock.advance(LEASE / 2)
    heartbeat(run.world.rules, run.holder())
    run.world.clock.advance(LEASE / 2)
    assert end_expired(run.world.rules) == []
    run.world.clock.advance(timedelta(days=-1))
    assert end_expired(run.world.rules) == []
    run.world.clock.advance(LEASE)
    assert len(end_expired(run.world.rules)) == 1


def test_a_clock_that_is_set_ahead_ends_runs_for_good(run: Run):
    run.report(Step(name="run", order=1, status=StepStatus.IN_PROGRESS, started_at=run.world.clock.now()))
    run.world.clock.advance(timedelta(days=1))
    refused(run, run.holder())
    assert len(end_expired(run.world.rules)) == 1


def test_a_runner_that_is_lost_while_aborting_ends_its_deployment_too(run: Run):
    run.abort()
    run.world.clock.advance(LEASE)
    assert len(end_expired(run.world.rules)) == 1
    assert run.deployment().status is DeploymentStatus.INTERNAL_FAILURE


def test_a_run_that_used_up_its_line_numbers_can_be_lost_and_keeps_no_other_from_its_end(run: Run):
    now = run.world.clock.now()
    step = Step(name="run", order=1, status=StepStatus.IN_PROGRESS, started_at=now)
    last = LogEvent(step="run", number=MAX_NUMBER, at=now, level=LogLevel.INFO, message="the last there can be")
    body = Report(fencing_token=run.lease.fencing_token, steps=(step,), events=(last,))
    save_report(run.world.rules, run.holder(), body)
    run.tenant.queue(run.tenant.somewhere_to_deploy()[1])
    other = take(run.world.rules, run.tenant.runner())
    assert other is not None
    run.world.clock.advance(LEASE)
    lost = {item.id for item in end_expired(run.world.rules)}
    assert lost == {run.lease.run.deployment_id, other.run.deployment_id}
    assert run.deployment().status is DeploymentStatus.INTERNAL_FAILURE


def test_several_keepers_end_a_lost_run_once(run: Run):
    run.world.clock.advance(LEASE)
    with ThreadPoolExecutor(4) as threads:
        lost = [item for found in threads.map(lambda _: end_expired(run.world.rules), range(4)) for item in found]
    assert [item.id for item in lost] == [run.lease.run.deployment_id]


def test_a_deployment_that_nobody_took_can_be_cancelled_and_one_that_runs_cannot(run: Run):
    queued = run.tenant.queue(run.environment)
    now = run.world.clock.now()
    with run.world.database.write() as tx:
        assert change_state(tx, queued, Event.CANCEL, by="test", now=now) is DeploymentStatus.CANCELLED
    with pytest.raises(Conflict, match="IN_PROGRESS cannot cancel"), run.world.database.write() as tx:
        change_state(tx, run.deployment(), Event.CANCEL, by="test", now=now)


def test_who_saw_an_older_state_changes_nothing(run: Run):
    seen = run.deployment()
    run.finish()
    with pytest.raises(Conflict, match="changed in the meantime"), run.world.database.write() as tx:
        change_state(tx, seen, Event.ABORT, by="test", now=run.world.clock.now())
