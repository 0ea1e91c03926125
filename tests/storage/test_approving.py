"""Approving: a plan waits, somebody who may carries it on, once, and nothing gets in between."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from approvals import ASKED, approve_as, end, now, taken
from factories import LEASE, Tenant, World, holder
from runpass.errors import Conflict, Forbidden, InvalidInput, StaleLease
from runpass.ids import ApiKeyId, new_id
from runpass.protocol.reports import LogEvent, LogLevel, Outcome, Report, Step, StepStatus
from runpass.protocol.run_lease import Phase, RunLease
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema.audit import audit_events
from runpass.server.deployments import log_store, store
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType, DeployRequest
from runpass.server.deployments.queue import Queueing, queue_deployment
from runpass.server.deployments.run_leases import (
    MOST_RETURNS,
    RUNNER_LOST,
    end_expired,
    heartbeat,
    save_report,
    take,
)
from runpass.server.deployments.transitions import Event
from runpass.server.runners.model import Runner
from runpass.server.tenancy import store as tenancy_store
from runpass.server.tenancy.environment_store import get_environment, update_environment
from runpass.server.tenancy.model import Environment, EnvironmentStatus, Project


def key(tenant: Tenant, project: Project, role: ProjectRole, name: str = "somebody") -> Actor:
    return Actor(ApiKeyId(new_id()), name, tenant.id, OrganizationRole.USER, {project.id: role})


def queue_as(tenant: Tenant, actor: Actor, environment: Environment, wanted: DeployRequest) -> Deployment:
    how = Queueing(actor, tenant.world.cipher, tenant.world.clock, 3600.0)
    with tenant.world.database.write() as tx:
        project = tenancy_store.get_project(tx, tenant.id, environment.project_id)
        assert project is not None
        return queue_deployment(tx, how, environment, project, wanted)


def status_of(tenant: Tenant, environment: Environment) -> EnvironmentStatus:
    with tenant.world.database.read() as tx:
        found = get_environment(tx, tenant.id, environment.id)
    assert found is not None
    return found.status


def planned(tenant: Tenant, environment: Environment, runner: Runner) -> tuple[Deployment, RunLease]:
    """A deployment whose plan waits for an approval, and the lease that planned it."""
    queued = tenant.queue(environment, ASKED)
    lease = taken(tenant.world, runner)
    end(tenant.world, runner, lease)
    return now(tenant, queued), lease


def test_a_plan_waits_is_approved_and_is_carried_out_with_what_it_was_planned_with(tenant: Tenant, world: World):
    project = tenant.project()
    environment = tenant.environment(project, tenant.template(project, commands=["change"]))
    runner, reviewer = tenant.runner(), key(tenant, project, ProjectRole.DEPLOYER, "reviewer")
    queued = tenant.queue(environment, ASKED)
    assert (queued.phase, queued.requires_approval) == (Phase.PLAN, True)

    plan = taken(world, runner)
    assert (plan.phase, [item.script for item in plan.commands]) == (Phase.PLAN, [])
    end(world, runner, plan)
    waiting = now(tenant, queued)
    assert (waiting.status, waiting.finished_at) == (DeploymentStatus.WAITING_FOR_USER, None)
    assert status_of(tenant, environment) is EnvironmentStatus.WAITING_FOR_USER
    assert take(world.rules, runner) is None

    world.clock.advance(timedelta(hours=5))
    approve_as(tenant, waiting, reviewer)
    approved = now(tenant, queued)
    assert (approved.status, approved.phase) == (DeploymentStatus.APPROVED, Phase.APPLY)
    assert (approved.reviewed_by, approved.reviewed_at) == (reviewer.audit_name, world.clock.now())
    apply = taken(world, runner)
    assert apply.run == plan.run.model_copy(update={"reviewer_name": "reviewer", "reviewer_id": reviewer.id})
    assert [item.script for item in apply.commands] == ["change"]
    assert now(tenant, queued).started_at == waiting.started_at
    end(world, runner, apply)
    assert now(tenant, queued).status is DeploymentStatus.SUCCESS
    assert status_of(tenant, environment) is EnvironmentStatus.ACTIVE
    with world.database.read() as tx:
        of_it = select(audit_events.c.action, audit_events.c.actor).where(audit_events.c.subject_id == str(queued.id))
        actions = [tuple(row) for row in tx.execute(of_it.order_by(audit_events.c.id))]
    assert ("deployment.approved", reviewer.audit_name) in actions


def test_the_approved_one_is_taken_before_what_was_queued_behind_it(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner(capacity=3)
    waiting, _ = planned(tenant, environment, runner)
    behind = tenant.queue(environment)
    assert take(world.rules, runner) is None
    approve_as(tenant, waiting, tenant.admin)
    with world.database.read() as tx:
        assert store.pools_with_work(tx) == {waiting.pool_id}
    lease = taken(world, runner)
    assert lease.run.deployment_id == waiting.id
    assert take(world.rules, runner) is None
    end(world, runner, lease)
    assert taken(world, runner).run.deployment_id == behind.id


def test_of_two_who_approve_at_once_one_does(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    waiting, _ = planned(tenant, environment, tenant.runner())
    reviewers = [replace(tenant.admin, id=ApiKeyId(new_id())) for _ in range(2)]
    begin = threading.Barrier(2)

    def attempt(reviewer: Actor) -> Actor | None:
        begin.wait()
        try:
            approve_as(tenant, waiting, reviewer)
        except Conflict:
            return None
        return reviewer

    with ThreadPoolExecutor(2) as threads:
        approved = [item for item in threads.map(attempt, reviewers) if item]
    assert len(approved) == 1
    assert now(tenant, waiting).reviewed_by == approved[0].audit_name


def test_of_an_approval_and_a_cancel_at_once_one_happens(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    waiting, _ = planned(tenant, environment, tenant.runner())
    begin = threading.Barrier(2)

    def cancel() -> None:
        with world.database.write() as tx:
            change_state(tx, waiting, Event.CANCEL, by="test", now=world.clock.now())

    def attempt(act: Callable[[], None]) -> bool:
        begin.wait()
        try:
            act()
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(attempt, [lambda: approve_as(tenant, waiting, tenant.admin), cancel]))
    found = now(tenant, waiting)
    assert sorted(done) == [False, True]
    assert found.status is (DeploymentStatus.APPROVED if done[0] else DeploymentStatus.CANCELLED)
    assert (found.reviewed_by is not None) == done[0]
    assert (take(world.rules, tenant.runner()) is not None) == done[0]


@pytest.mark.parametrize("approved", [False, True], ids=["waiting", "approved"])
def test_what_is_cancelled_after_its_plan_leaves_its_environment_as_it_was(
    tenant: Tenant,
    world: World,
    approved: bool,  # noqa: FBT001 -- one column of the table
):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    tenant.queue(environment)
    end(world, runner, taken(world, runner), Outcome.FAILURE)
    waiting, _ = planned(tenant, environment, runner)
    if approved:
        approve_as(tenant, waiting, tenant.admin)
    with world.database.write() as tx:
        change_state(tx, now(tenant, waiting), Event.CANCEL, by="test", now=world.clock.now())
    assert status_of(tenant, environment) is EnvironmentStatus.FAILED
    tenant.queue(environment)
    assert taken(world, runner).phase is Phase.APPLY


def test_a_plan_whose_environment_was_archived_meanwhile_waits_for_nobody(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    queued = tenant.queue(environment, ASKED)
    lease = taken(world, runner)
    with world.database.write() as tx:
        update_environment(tx, environment.id, {"is_archived": True}, world.clock.now())
    end(world, runner, lease)
    found = now(tenant, queued)
    assert (found.status, found.finished_at) == (DeploymentStatus.CANCELLED, world.clock.now())
    assert status_of(tenant, environment) is EnvironmentStatus.CREATED


def test_a_plan_that_fails_leaves_what_was_deployed_as_it_was(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    tenant.queue(environment)
    end(world, runner, taken(world, runner))
    queued = tenant.queue(environment, ASKED)
    end(world, runner, taken(world, runner), Outcome.FAILURE)
    assert now(tenant, queued).status is DeploymentStatus.FAILURE
    assert status_of(tenant, environment) is EnvironmentStatus.ACTIVE


def test_a_late_word_of_the_plans_runner_is_refused(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    waiting, plan = planned(tenant, environment, runner)
    late = holder(runner, plan)
    acts: list[Callable[[], object]] = [
        lambda: heartbeat(world.rules, late),
        lambda: save_report(world.rules, late, Report(fencing_token=plan.fencing_token)),
        lambda: end(world, runner, plan),
    ]
    for step in ("waiting", "approved", "taken"):
        if step == "approved":
            approve_as(tenant, waiting, tenant.admin)
        if step == "taken":
            assert taken(world, runner).fencing_token > plan.fencing_token
        for act in acts:
            with pytest.raises(StaleLease):
                act()
    assert now(tenant, waiting).status is DeploymentStatus.IN_PROGRESS


def test_a_runner_that_is_lost_while_it_applies_is_a_failure_that_nobody_repeats(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    waiting, _ = planned(tenant, environment, runner)
    approve_as(tenant, waiting, tenant.admin)
    heartbeat(world.rules, holder(runner, taken(world, runner)))
    world.clock.advance(LEASE)
    end_expired(world.rules)
    ended = now(tenant, waiting)
    assert (ended.status, ended.error) == (DeploymentStatus.INTERNAL_FAILURE, RUNNER_LOST)
    assert status_of(tenant, environment) is EnvironmentStatus.FAILED
    assert take(world.rules, runner) is None


def test_an_approved_run_that_nobody_began_is_still_approved_and_occupies_its_environment(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner(capacity=2)
    waiting, _ = planned(tenant, environment, runner)
    approve_as(tenant, waiting, tenant.admin)
    tenant.queue(environment)
    for _ in range(MOST_RETURNS):
        assert taken(world, runner).run.deployment_id == waiting.id
        world.clock.advance(LEASE)
        (returned,) = end_expired(world.rules)
        assert returned.status is DeploymentStatus.APPROVED
        assert now(tenant, waiting).started_at == waiting.started_at
    assert status_of(tenant, environment) is EnvironmentStatus.DEPLOY_IN_PROGRESS
    assert taken(world, runner).run.deployment_id == waiting.id


def test_the_steps_and_lines_of_both_leases_stand_beside_each_other(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    queued = tenant.queue(environment, ASKED)

    def report(lease: RunLease, text: str) -> None:
        at = world.clock.now()
        steps = [
            Step(name=name, order=n, status=StepStatus.SUCCESS, started_at=at, completed_at=at)
            for n, name in enumerate(("setup-oidc-vault", "tf:init"))
        ]
        event = LogEvent(step="tf:init", number=1, at=at, level=LogLevel.INFO, message=text)
        save_report(
            world.rules,
            holder(runner, lease),
            Report(fencing_token=lease.fencing_token, steps=tuple(steps), events=(event,)),
        )

    plan = taken(world, runner)
    report(plan, "planned")
    end(world, runner, plan)
    approve_as(tenant, now(tenant, queued), tenant.admin)
    apply = taken(world, runner)
    report(apply, "applied")
    end(world, runner, apply, Outcome.FAILURE, failed_step="tf:init", error="no")
    with world.database.read() as tx:
        names = [step.name for step in log_store.list_steps(tx, queued.id)]
        lines = {
            name: [item.message for item in log_store.list_events(tx, queued.id, name, after=0, limit=9)]
            for name in ("plan:tf:init", "tf:init")
        }
    assert names == ["plan:setup-oidc-vault", "plan:tf:init", "setup-oidc-vault", "tf:init"]
    assert lines == {"plan:tf:init": ["planned"], "tf:init": ["applied"]}
    assert now(tenant, queued).failed_step == "tf:init"


def test_the_step_that_failed_a_plan_is_named_as_it_is_listed(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    queued = tenant.queue(environment, ASKED)
    end(world, runner, taken(world, runner), Outcome.FAILURE, failed_step="tf:plan")
    assert now(tenant, queued).failed_step == "plan:tf:plan"


def test_a_planner_gets_a_plan_and_never_more_without_somebody_else(tenant: Tenant, world: World):
    project, environment = tenant.somewhere_to_deploy()
    planner = key(tenant, project, ProjectRole.PLANNER)
    queued = queue_as(tenant, planner, environment, DeployRequest(requires_approval=False))
    assert (queued.requires_approval, queued.phase) == (True, Phase.PLAN)
    other = tenant.template(project, name="other")
    for smuggled in (
        DeployRequest(changed_variables=True),
        DeployRequest(other.id),
        DeployRequest(revision="mine"),
        DeployRequest(kind=DeploymentType.TASK, task_commands=("id",)),
    ):
        with pytest.raises(Forbidden):
            queue_as(tenant, planner, environment, smuggled)
    with pytest.raises(InvalidInput):  # a template of type shell has no repository, whoever asks
        queue_as(tenant, planner, environment, DeployRequest(repository="https://example.com/mine.git"))


@pytest.mark.parametrize("where", ["organization", "parent", "project", "environment"])
def test_a_policy_adds_an_approval_that_no_request_takes_away(tenant: Tenant, world: World, where: str):
    requires = {"requires_approval_default": True}
    parent = tenant.project("parent")
    project = tenant.project("project", parent)
    environment = tenant.environment(project, tenant.template(project))
    if where == "organization":
        tenant.set_organization(policies={"requires_approval": True})
    elif where == "environment":
        environment = replace(environment, settings={"requires_approval": True})
    else:
        set_policies(tenant, parent if where == "parent" else project, requires)
    queued = queue_as(tenant, tenant.admin, environment, DeployRequest(requires_approval=False))
    assert (queued.requires_approval, queued.phase) == (True, Phase.PLAN)


def set_policies(tenant: Tenant, project: Project, policies: dict[str, Any]) -> None:
    world = tenant.world
    with world.database.write() as tx:
        seen = tenancy_store.get_project(tx, tenant.id, project.id)
        assert seen is not None
        tenancy_store.change_project(tx, seen, {"policies": policies}, world.clock.now())


def test_a_task_has_half_an_hour_and_changes_nothing_of_its_environments_state(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    tenant.queue(environment)
    end(world, runner, taken(world, runner))
    task = DeployRequest(kind=DeploymentType.TASK, task_commands=("one", "two"))
    queued = queue_as(tenant, tenant.admin, environment, task)
    lease = taken(world, runner)
    assert (lease.phase, lease.timeout_seconds) == (Phase.TASK, 1800.0)
    assert [(item.step, item.script) for item in lease.commands] == [("task:1", "one"), ("task:2", "two")]
    assert status_of(tenant, environment) is EnvironmentStatus.TASK_IN_PROGRESS
    end(world, runner, lease, Outcome.FAILURE)
    assert now(tenant, queued).status is DeploymentStatus.FAILURE
    assert status_of(tenant, environment) is EnvironmentStatus.ACTIVE
