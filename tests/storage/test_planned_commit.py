"""What was planned is what is applied: the commit of the plan's checkout, or nothing."""

import pytest
from sqlalchemy import update

from approvals import ASKED, approve_as, end, now, taken
from factories import Tenant, World, holder
from runpass.errors import Conflict
from runpass.protocol.reports import LogEvent, LogLevel, Report
from runpass.server.db.schema.deployments import deployments
from runpass.server.deployments.model import DeploymentStatus, DeploymentType, DeployRequest
from runpass.server.deployments.run_leases import save_report
from runpass.server.templates.model import GitSource, Template
from runpass.server.tenancy.model import Project


def git_template(tenant: Tenant, project: Project) -> Template:
    source = GitSource(repository="https://git.example.com/code", revision="main")
    return tenant.template(project, terraform=source)


@pytest.mark.parametrize("commit", ["a1" * 20, "b2" * 32])
def test_the_commit_that_was_planned_is_the_one_that_is_applied(tenant: Tenant, world: World, commit: str):
    project = tenant.project()
    environment = tenant.environment(project, git_template(tenant, project))
    runner = tenant.runner()
    queued = tenant.queue(environment, ASKED)
    plan = taken(world, runner)
    assert "main" in plan.commands[0].script
    said = ["Cloning", f"Commit {commit}"]
    events = tuple(
        LogEvent(step="git:clone", number=number, at=world.clock.now(), level=LogLevel.INFO, message=message)
        for number, message in enumerate(said, start=1)
    )
    save_report(world.rules, holder(runner, plan), Report(fencing_token=plan.fencing_token, events=events))
    end(world, runner, plan)
    approve_as(tenant, now(tenant, queued), tenant.admin)
    apply = taken(world, runner)
    assert [item.step for item in apply.commands] == ["git:clone", "tf:init", "tf:plan", "tf:apply", "tf:output"]
    assert commit in apply.commands[0].script
    assert "main" not in apply.commands[0].script


@pytest.mark.parametrize("said", ["", "Commit main", "Commit " + "a" * 39, "fatal: no Commit " + "a" * 40])
def test_what_was_planned_from_an_unknown_commit_cannot_be_approved(tenant: Tenant, world: World, said: str):
    project = tenant.project()
    environment = tenant.environment(project, git_template(tenant, project))
    runner = tenant.runner()
    queued = tenant.queue(environment, ASKED)
    plan = taken(world, runner)
    if said:
        event = LogEvent(step="git:clone", number=1, at=world.clock.now(), level=LogLevel.INFO, message=said)
        save_report(world.rules, holder(runner, plan), Report(fencing_token=plan.fencing_token, events=(event,)))
    end(world, runner, plan)
    with pytest.raises(Conflict, match="which commit"):
        approve_as(tenant, now(tenant, queued), tenant.admin)
    assert now(tenant, queued).status is DeploymentStatus.WAITING_FOR_USER


def test_the_repository_of_the_apply_is_the_sealed_one_whatever_stands_in_clear(tenant: Tenant, world: World):
    """Whoever can write the database and has no master key must not choose the code of an apply."""
    project = tenant.project()
    environment = tenant.environment(project, git_template(tenant, project))
    runner = tenant.runner()
    queued = tenant.queue(environment, ASKED)
    plan = taken(world, runner)
    commit = LogEvent(
        step="git:clone", number=1, at=world.clock.now(), level=LogLevel.INFO, message=f"Commit {'a1' * 20}"
    )
    save_report(world.rules, holder(runner, plan), Report(fencing_token=plan.fencing_token, events=(commit,)))
    end(world, runner, plan)
    with world.database.write() as tx:
        changed = update(deployments).where(deployments.c.id == queued.id)
        tx.execute(changed.values(repository="https://elsewhere.example.com/code"))
    approve_as(tenant, now(tenant, queued), tenant.admin)
    script = taken(world, runner).commands[0].script
    assert "https://git.example.com/code" in script
    assert "elsewhere" not in script


def test_a_destruction_brings_the_sealed_repository_too(tenant: Tenant, world: World):
    project = tenant.project()
    environment = tenant.environment(project, git_template(tenant, project))
    runner = tenant.runner()
    tenant.queue(environment)
    end(world, runner, taken(world, runner))
    with world.database.write() as tx:
        tx.execute(update(deployments).values(repository="https://elsewhere.example.com/code"))
    tenant.queue(environment, DeployRequest(kind=DeploymentType.DESTROY))
    script = taken(world, runner).commands[0].script
    assert "https://git.example.com/code" in script
    assert "elsewhere" not in script
