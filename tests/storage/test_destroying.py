"""Destroying: what the last deploy ran is undone, and the environment is gone from what is active."""

from typing import Any

import pytest

from factories import Tenant, World, holder
from runpass.errors import Conflict
from runpass.protocol.credentials import CredentialKind, parse
from runpass.protocol.reports import Finish, LogEvent, LogLevel, Outcome, Report, Step, StepStatus
from runpass.protocol.run_lease import Phase, RunLease
from runpass.server.deployments import log_store, store
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType, DeployRequest
from runpass.server.deployments.queue import Queueing, queue_deployment
from runpass.server.deployments.reporting import MOST_STEPS
from runpass.server.deployments.run_leases import LeaseRules, finish, save_report, take
from runpass.server.runners.model import Runner
from runpass.server.templates import store as template_store
from runpass.server.templates.model import GitSource, ShellSource, Template, TemplateType
from runpass.server.tenancy import store as tenancy_store
from runpass.server.tenancy.environment_store import get_environment
from runpass.server.tenancy.model import Environment, EnvironmentStatus

DESTROY = DeployRequest(kind=DeploymentType.DESTROY)


def run(world: World, runner: Runner, outcome: Outcome = Outcome.SUCCESS) -> RunLease:
    lease = take(world.rules, runner)
    assert lease is not None
    finish(world.rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=outcome))
    return lease


def environment_now(tenant: Tenant, environment: Environment) -> Environment:
    with tenant.world.database.read() as tx:
        found = get_environment(tx, tenant.id, environment.id)
    assert found is not None
    return found


def deployment_now(tenant: Tenant, deployment: Deployment) -> Deployment:
    with tenant.world.database.read() as tx:
        found = store.get_deployment(tx, tenant.id, deployment.id)
    assert found is not None
    return found


def change(tenant: Tenant, template: Template, **values: Any) -> None:
    world = tenant.world
    with world.database.write() as tx:
        seen = template_store.get_template(tx, tenant.id, template.id)
        assert seen is not None
        template_store.change_template(tx, seen, values, world.clock.now())


def shell(**commands: list[str]) -> dict[str, Any]:
    return ShellSource.model_validate({"commands": ["deploy"], **commands}).model_dump(mode="json", by_alias=True)


def scripts(lease: RunLease) -> list[str]:
    return [item.script for item in lease.commands]


def test_a_destroy_that_succeeds_archives_its_environment_and_takes_what_is_queued_with_it(
    tenant: Tenant, world: World
):
    project = tenant.project()
    template = tenant.template(project)
    change(tenant, template, source=shell(destroyCommands=["undo"], planCommands=["look"]))
    environment, runner = tenant.environment(project, template), tenant.runner()
    tenant.queue(environment)
    assert scripts(run(world, runner)) == ["look", "deploy"]
    destroy, behind = tenant.queue(environment, DESTROY), tenant.queue(environment)
    lease = run(world, runner)
    assert (lease.phase, scripts(lease), lease.run.deployment_type) == (Phase.DESTROY, ["undo"], "destroy")
    assert deployment_now(tenant, destroy).status is DeploymentStatus.SUCCESS
    assert deployment_now(tenant, behind).status is DeploymentStatus.CANCELLED
    found = environment_now(tenant, environment)
    assert (found.status, found.is_archived) == (EnvironmentStatus.INACTIVE, True)
    with pytest.raises(Conflict, match="archived"):
        tenant.queue(found)


def test_a_destroy_that_fails_leaves_its_environment_failed_and_not_archived(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    tenant.queue(environment)
    run(world, runner)
    tenant.queue(environment, DESTROY)
    run(world, runner, Outcome.FAILURE)
    found = environment_now(tenant, environment)
    assert (found.status, found.is_archived) == (EnvironmentStatus.FAILED, False)


def test_a_destroy_uses_the_code_of_the_last_deploy(tenant: Tenant, world: World):
    project = tenant.project()
    template, other = tenant.template(project), tenant.template(project, name="other")
    code = {"repository": "https://example.com/code.git", "revision": "v1", "path": "web"}
    for item in (template, other):
        source = GitSource.model_validate(code).model_dump(mode="json", by_alias=True)
        change(tenant, item, type=TemplateType.TERRAFORM.value, source=source)
    environment, runner = tenant.environment(project, template), tenant.runner()
    tenant.queue(environment, DeployRequest(other.id))
    run(world, runner)
    later = GitSource.model_validate(code | {"revision": "v2"}).model_dump(mode="json", by_alias=True)
    change(tenant, other, source=later, is_deleted=True)
    queued = tenant.queue(environment, DESTROY)
    lease = run(world, runner)
    assert (queued.template_id, lease.run.revision) == (other.id, "v1")
    assert any("v1" in item for item in scripts(lease))
    assert not any("v2" in item for item in scripts(lease))


def test_a_destroy_can_need_an_approval_as_well(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    tenant.queue(environment)
    run(world, runner)
    queued = tenant.queue(environment, DeployRequest(kind=DeploymentType.DESTROY, requires_approval=True))
    assert run(world, runner).phase is Phase.PLAN
    assert deployment_now(tenant, queued).status is DeploymentStatus.WAITING_FOR_USER
    assert not environment_now(tenant, environment).is_archived


def test_a_template_that_no_runner_runs_fails_its_deployment_with_that_sentence(tenant: Tenant, world: World):
    project = tenant.project()
    template = tenant.template(project)
    source = GitSource(repository="https://example.com/code.git").model_dump(mode="json", by_alias=True)
    change(tenant, template, type=TemplateType.PULUMI.value, source=source)
    environment = tenant.environment(project, template)
    queued = tenant.queue(environment)
    assert take(world.rules, tenant.runner()) is None
    ended = deployment_now(tenant, queued)
    assert (ended.status, ended.error) == (
        DeploymentStatus.FAILURE,
        "no runner runs templates of type pulumi yet",
    )
    assert environment_now(tenant, environment).status is EnvironmentStatus.FAILED


def test_a_credential_that_no_runner_serves_fails_the_deployment_and_no_other(tenant: Tenant, world: World):
    project, environment = tenant.somewhere_to_deploy()
    other = tenant.project("other")
    free = tenant.queue(tenant.environment(other, tenant.template(other, name="other"), "other"))
    queued = tenant.queue(environment)
    value = parse(CredentialKind.AWS_OIDC, {"roleArn": "arn:aws:iam::123456789012:role/deploy"})
    tenant.assign(tenant.credential_of(value, CredentialKind.AWS_OIDC), project)
    lease = take(world.rules, tenant.runner())
    assert lease is not None
    assert lease.run.deployment_id == free.id
    assert take(world.rules, tenant.runner()) is None
    ended = deployment_now(tenant, queued)
    assert ended.status is DeploymentStatus.FAILURE
    assert "AWS_OIDC" in (ended.error or "")


def test_a_log_ends_with_a_line_that_says_so_where_it_may_not_grow_any_more(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner = tenant.runner()
    queued = tenant.queue(environment)
    rules = LeaseRules(world.database, world.cipher, world.clock, world.rules.lifetime, max_log_bytes=1000)
    lease = take(rules, runner)
    assert lease is not None

    def report(first: int) -> None:
        events = tuple(
            LogEvent(step="s", number=first + n, at=world.clock.now(), level=LogLevel.INFO, message="x" * 136)
            for n in range(3)
        )
        save_report(rules, holder(runner, lease), Report(fencing_token=lease.fencing_token, events=events))

    for first in (1, 1, 4, 4, 7):  # a repeat counts once
        report(first)
    with world.database.read() as tx:
        lines = log_store.list_events(tx, queued.id, "s", after=0, limit=99)
    assert [item.number for item in lines] == [1, 2, 3, 4, 5, 6]
    assert [item.level for item in lines] == [LogLevel.INFO] * 5 + [LogLevel.SYSTEM]
    assert "full (1000 bytes)" in lines[-1].message
    finish(rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS))
    with world.database.read() as tx:
        assert log_store.usage(tx, tenant.id) == deployment_now(tenant, queued).log_bytes >= 1000


def test_a_runner_that_makes_up_steps_fills_no_database_with_them(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    runner, queued = tenant.runner(), tenant.queue(environment)
    lease = take(world.rules, runner)
    assert lease is not None

    def report(*numbers: int, status: StepStatus = StepStatus.IN_PROGRESS) -> None:
        steps = tuple(Step(name=f"step-{number}", order=1, status=status) for number in numbers)
        save_report(world.rules, holder(runner, lease), Report(fencing_token=lease.fencing_token, steps=steps))

    report(*range(MOST_STEPS - 2))
    report(*range(MOST_STEPS - 4, MOST_STEPS + 4))
    report(0, MOST_STEPS, MOST_STEPS + 1, status=StepStatus.SUCCESS)
    with world.database.read() as tx:
        kept = {step.name: step.status for step in log_store.list_steps(tx, queued.id)}
    assert set(kept) == {f"step-{number}" for number in range(MOST_STEPS)}
    assert kept["step-0"] is StepStatus.SUCCESS


def test_nothing_more_is_queued_where_the_organizations_logs_are_full(tenant: Tenant, world: World):
    project, environment = tenant.somewhere_to_deploy()
    how = Queueing(tenant.admin, world.cipher, world.clock, 60.0, organization_log_bytes=500)
    stranger = world.tenant("stranger")
    with world.database.write() as tx:
        log_store.count_usage(tx, stranger.id, 500)
        log_store.count_usage(tx, tenant.id, 250)
        again = tenancy_store.get_project(tx, tenant.id, project.id)
        assert again is not None
        queue_deployment(tx, how, environment, again, DeployRequest())
        log_store.count_usage(tx, tenant.id, 250)
        with pytest.raises(Conflict, match="as large as they may become"):
            queue_deployment(tx, how, environment, again, DeployRequest())
