"""Handing back: a run that nobody began goes to the next runner, and its first holder has no more say."""

from collections.abc import Callable

import pytest
import structlog
from sqlalchemy import select

from approvals import ASKED, approve_as, end, now, taken
from factories import LEASE, Tenant, World, holder
from runpass.errors import StaleLease
from runpass.protocol.reports import Finish, Outcome, Report
from runpass.protocol.run_lease import RunLease
from runpass.server.db.schema.audit import audit_events
from runpass.server.deployments import lease_store, store
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.keeper import end_lost_once
from runpass.server.deployments.model import Deployment, DeploymentStatus
from runpass.server.deployments.run_leases import (
    MOST_RETURNS,
    RUNNER_LOST,
    Holder,
    LeaseRules,
    end_expired,
    finish,
    heartbeat,
    save_report,
    take,
)
from runpass.server.deployments.transitions import Event
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.tenancy.environment_store import get_environment, update_environment
from runpass.server.tenancy.model import Environment, EnvironmentStatus


def deployment_of(world: World, tenant: Tenant, lease: RunLease) -> Deployment:
    with world.database.read() as tx:
        found = store.get_deployment(tx, tenant.id, lease.run.deployment_id)
    assert found is not None
    return found


def status_of(world: World, tenant: Tenant, environment: Environment) -> EnvironmentStatus:
    with world.database.read() as tx:
        found = get_environment(tx, tenant.id, environment.id)
    assert found is not None
    return found.status


def test_a_run_that_nobody_began_goes_to_the_next_runner(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    queued = tenant.queue(environment)
    first = taken(world, tenant.runner())
    assert status_of(world, tenant, environment) is EnvironmentStatus.DEPLOY_IN_PROGRESS
    world.clock.advance(LEASE)

    (returned,) = end_expired(world.rules)

    assert (returned.id, returned.status) == (queued.id, DeploymentStatus.QUEUED)
    assert deployment_of(world, tenant, first) == queued
    assert status_of(world, tenant, environment) is EnvironmentStatus.CREATED
    second = taken(world, tenant.runner())
    assert second.run.deployment_id == queued.id
    assert second.fencing_token == first.fencing_token + 1
    with world.database.read() as tx:
        of_it = select(audit_events.c.action).where(audit_events.c.subject_id == str(queued.id))
        actions = list(tx.execute(of_it.order_by(audit_events.c.id)).scalars())
    assert actions == ["deployment.queued", "deployment.in_progress"] * 2


def test_the_first_holder_has_no_say_after_the_hand_back(tenant: Tenant, world: World):
    tenant.queue(tenant.somewhere_to_deploy()[1])
    runner = tenant.runner()
    first = taken(world, runner)
    world.clock.advance(LEASE)
    end_expired(world.rules)
    second = taken(world, runner)  # the same runner, even
    late = holder(runner, first)
    acts: list[Callable[[], object]] = [
        lambda: heartbeat(world.rules, late),
        lambda: save_report(world.rules, late, Report(fencing_token=first.fencing_token)),
        lambda: finish(world.rules, late, Finish(fencing_token=first.fencing_token, outcome=Outcome.FAILURE)),
    ]
    for act in acts:
        with pytest.raises(StaleLease):
            act()
    # nor with the older fencing token and the newer lease
    mixed = Holder(runner, holder(runner, second).lease_id, second.lease_secret, first.fencing_token)
    with pytest.raises(StaleLease):
        save_report(world.rules, mixed, Report(fencing_token=first.fencing_token))
    finish(world.rules, holder(runner, second), Finish(fencing_token=second.fencing_token, outcome=Outcome.SUCCESS))
    assert deployment_of(world, tenant, second).status is DeploymentStatus.SUCCESS


def test_an_environment_is_again_what_its_last_run_made_of_it(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    tenant.queue(environment)
    lease = taken(world, runner)
    finish(world.rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=Outcome.FAILURE))
    cancelled = tenant.queue(environment)
    with world.database.write() as tx:
        change_state(tx, cancelled, Event.CANCEL, by="test", now=world.clock.now())
    tenant.queue(environment)
    taken(world, runner)
    world.clock.advance(LEASE)
    end_expired(world.rules)
    assert status_of(world, tenant, environment) is EnvironmentStatus.FAILED


def _beat(rules: LeaseRules, who: Holder) -> object:
    return heartbeat(rules, who)


def _report(rules: LeaseRules, who: Holder) -> object:
    return save_report(rules, who, Report(fencing_token=who.fencing_token))


def _mint(rules: LeaseRules, who: Holder) -> object:
    with rules.database.write() as tx:
        lease_store.count_mints(tx, {who.lease_id: 1}, rules.clock.now())
    return None


@pytest.mark.parametrize("speak", [_beat, _report, _mint], ids=["a heartbeat", "a report", "a token"])
def test_a_run_that_may_have_begun_is_never_given_away(
    tenant: Tenant, world: World, speak: Callable[[LeaseRules, Holder], object]
):
    _, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    runner = tenant.runner()
    lease = taken(world, runner)
    speak(world.rules, holder(runner, lease))
    world.clock.advance(LEASE)
    end_expired(world.rules)
    ended = deployment_of(world, tenant, lease)
    assert (ended.status, ended.error) == (DeploymentStatus.INTERNAL_FAILURE, RUNNER_LOST)
    assert status_of(world, tenant, environment) is EnvironmentStatus.FAILED


def test_a_run_that_no_runner_ever_begins_ends(tenant: Tenant, world: World):
    tenant.queue(tenant.somewhere_to_deploy()[1])
    runner = tenant.runner()
    seen = []
    for _ in range(MOST_RETURNS + 1):
        lease = taken(world, runner)
        world.clock.advance(LEASE)
        seen.extend(item.status for item in end_expired(world.rules))
    assert seen == [DeploymentStatus.QUEUED] * MOST_RETURNS + [DeploymentStatus.INTERNAL_FAILURE]
    assert deployment_of(world, tenant, lease).error == RUNNER_LOST
    assert take(world.rules, runner) is None


def told_of(world: World, deployment: Deployment) -> list[tuple[str, str]]:
    """Let the keeper look once; give what it said of this deployment, and in which state."""
    with structlog.testing.capture_logs() as logs:
        end_lost_once(world.rules, Wakeups())
    return [(entry["event"], entry["status"]) for entry in logs if entry.get("deployment_id") == str(deployment.id)]


@pytest.mark.parametrize("is_approved", [False, True])
def test_the_log_tells_a_hand_back_from_a_loss(tenant: Tenant, world: World, *, is_approved: bool):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    deployment = tenant.queue(environment, ASKED)
    if is_approved:
        end(world, runner, taken(world, runner))
        approve_as(tenant, now(tenant, deployment), tenant.admin)
    taken(world, runner)
    world.clock.advance(LEASE)
    assert told_of(world, deployment) == [("deployment.returned", "APPROVED" if is_approved else "QUEUED")]
    heartbeat(world.rules, holder(runner, taken(world, runner)))
    world.clock.advance(LEASE)
    assert told_of(world, deployment) == [("deployment.runner_lost", "INTERNAL_FAILURE")]


@pytest.mark.parametrize("is_approved", [False, True])
def test_nobody_begins_a_run_whose_environment_was_archived_meanwhile(
    tenant: Tenant, world: World, *, is_approved: bool
):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    deployment = tenant.queue(environment, ASKED)
    if is_approved:
        end(world, runner, taken(world, runner))
        approve_as(tenant, now(tenant, deployment), tenant.admin)
    taken(world, runner)
    with world.database.write() as tx:  # as the end of its project does
        update_environment(tx, environment.id, {"is_archived": True}, world.clock.now())
    world.clock.advance(LEASE)
    assert told_of(world, deployment) == [("deployment.runner_lost", "CANCELLED")]
    ended = now(tenant, deployment)
    assert (ended.status, ended.finished_at) == (DeploymentStatus.CANCELLED, world.clock.now())
    assert status_of(world, tenant, environment) is EnvironmentStatus.CREATED
    assert take(world.rules, runner) is None
