"""The console's first page: the first steps, what ran and was refused of late, and what each visitor sees of it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from console import Browser, console, new_key
from factories import Tenant, World
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema import metadata
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.newest import newest_deployments
from runpass.server.first_page.first_steps import Step
from runpass.server.first_page.store import steps_done
from runpass.server.tenancy.model import EnvironmentStatus, Project
from vault_run import Run

HOME = "/console/"
EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"
REFUSAL = {"code": "vault_login_refused", "reason": "The role does not bind this project."}


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


def change(world: World, table: str, where: Any = None, **values: Any) -> None:
    changed = metadata.tables[table]
    statement = update(changed).values(**values)
    with world.database.write() as tx:
        tx.execute(statement if where is None else statement.where(changed.c.id == where))


def ended(world: World, tenant: Tenant, project: Project, refusal: Any = None) -> Deployment:
    """A deployment in an environment of its own, which is over."""
    deployment = tenant.queue(tenant.environment(project, tenant.template(project)))
    change(world, "deployments", deployment.id, status="FAILURE", refusal=refusal)
    return deployment


def links(text: str) -> list[str]:
    return re.findall(r'href="/console/deployments/([^"]+)"', text)


def done(world: World, tenant: Tenant) -> set[Step]:
    with world.database.read() as tx:
        return set(steps_done(tx, tenant.id))


def test_the_first_steps_are_done_one_after_the_other(browser: Browser, world: World, tenant: Tenant):
    assert done(world, tenant) == set()
    text = browser.get(HOME).text
    assert "0 of 8 are done." in text
    assert text.index("runpass join-token create") > text.index('aria-current="step"')
    assert "There is none yet, so nothing is deployed." in text
    tenant.runner()
    credential = tenant.credential()
    assert done(world, tenant) == {Step.RUNNER, Step.CREDENTIAL}
    assert "runpass project create --name web" in browser.get(HOME).text
    project = tenant.project()
    tenant.assign(credential, project)
    template = tenant.template(project)
    assert done(world, tenant) == {Step.RUNNER, Step.CREDENTIAL, Step.PROJECT, Step.ASSIGNMENT, Step.TEMPLATE}
    text = browser.get(HOME).text
    assert "5 of 8 are done." in text
    assert "runpass credential test vault --project web" in text
    environment = tenant.environment(project, template)
    test = tenant.connection_test(credential, project)
    for verdicts, is_done in (("ok", "failed"), False), (("ok", "skipped"), False), (("ok", "warning"), True):
        checks = [{"name": "address", "verdict": verdict} for verdict in verdicts]
        change(world, "vault_tasks", test.id, checks=checks)
        assert (Step.VAULT in done(world, tenant)) is is_done
    assert "7 of 8 are done." in browser.get(HOME).text
    change(world, "environments", environment.id, status=EnvironmentStatus.ACTIVE.value)
    assert "First steps" not in browser.get(HOME).text


def test_another_tenants_things_are_no_step_of_ours(world: World, tenant: Tenant):
    other = world.tenant("other")
    project = other.project()
    other.assign(other.credential(), project)
    other.environment(project, other.template(project))
    other.runner()
    assert done(world, tenant) == set()


def test_a_credential_of_a_project_needs_no_assignment_and_what_is_gone_counts_no_more(world: World, tenant: Tenant):
    project = tenant.project()
    tenant.credential(project)
    tenant.template(project)
    tenant.runner()
    assert done(world, tenant) == {Step.RUNNER, Step.CREDENTIAL, Step.PROJECT, Step.ASSIGNMENT, Step.TEMPLATE}
    change(world, "templates", is_deleted=True)
    change(world, "runners", revoked_at=world.clock.now())
    change(world, "projects", deleted_at=world.clock.now())
    assert done(world, tenant) == {Step.CREDENTIAL, Step.ASSIGNMENT}


def test_the_newest_deployments_and_refusals_come_from_whatever_projects_may_be_seen(
    client: TestClient, browser: Browser, world: World, tenant: Tenant
):
    seen, hidden = tenant.project("seen"), tenant.project("out-of-sight")
    made = [ended(world, tenant, seen if number % 3 else hidden) for number in range(15)]
    newest = [str(item.id) for item in reversed(made)]
    assert links(browser.get(HOME).text) == newest[:10]
    refused = ended(world, tenant, hidden, REFUSAL)
    text = browser.get(HOME).text
    assert links(text) == [str(refused.id), *newest[:9], str(refused.id)]
    assert REFUSAL["reason"] in text
    viewer = Browser(client)
    viewer.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {seen.id: ProjectRole.VIEWER}))
    theirs = viewer.get(HOME).text
    assert links(theirs) == [item for item in newest if made[14 - newest.index(item)].project_id == seen.id]
    for text in ("out-of-sight", REFUSAL["reason"], "First steps", "Runners", "Outstanding"):
        assert text not in theirs
    world.clock.advance(timedelta(days=8))
    browser.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    text = browser.get(HOME).text
    assert REFUSAL["reason"] not in text
    assert str(refused.id) in text


def test_the_newest_of_many_projects_are_the_newest_of_all(world: World, tenant: Tenant):
    projects = [tenant.project(f"project {number}") for number in range(6)]
    made = [ended(world, tenant, projects[place]) for place in (0, 1, 2, 3, 3, 3, 4, 5, 0, 0)]
    everywhere = metadata.tables["projects"].c.hierarchy != ""
    for limit in (1, 2, 3, 5, 20):
        with world.database.read() as tx:
            found = newest_deployments(tx, tenant.id, everywhere, limit)
        assert [item.id for item in found] == [item.id for item in reversed(made)][:limit]


def test_somebody_without_any_role_is_told_what_to_do(client: TestClient, world: World, tenant: Tenant):
    nobody = Browser(client)
    nobody.sign_in(new_key(world, tenant.id, OrganizationRole.USER))
    assert "An admin gives you a role on one." in nobody.get(HOME).text
    planner = Browser(client)
    planner.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {tenant.project().id: ProjectRole.PLANNER}))
    assert "Deploy an environment from its page" in planner.get(HOME).text


def test_runners_in_touch_are_counted(browser: Browser, world: World, tenant: Tenant):
    tenant.runner()
    world.clock.advance(timedelta(minutes=3))
    assert "None is in touch, so nothing is deployed." in browser.get(HOME).text
    tenant.runner()
    world.tenant("other").runner()
    assert "1 of 2" in browser.get(HOME).text


def test_no_text_on_the_first_page_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    project = tenant.project()
    ended(world, tenant, project, {"code": f"code{EVIL}", "reason": f"reason{EVIL}"})
    fields = {"organizations": ("name", "description"), "projects": ("name",), "environments": ("name",)}
    for table, columns in {**fields, "deployments": ("comment",), "api_keys": ("name",)}.items():
        for column in columns:
            change(world, table, **{column: f"{table}-{column}{EVIL}"})
    text = browser.get(HOME).text
    assert "<script" not in text.partition("<main")[2]
    assert "4900140001" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    shown = [f"{table}-{column}" for table, columns in fields.items() for column in columns]
    for item in (*shown, "deployments-comment", "api_keys-name", "code", "reason"):
        assert f"{item}&lt;script&gt;" in text, item


def test_what_is_outstanding_is_counted(browser: Browser, world: World, tenant: Tenant):
    assert "known to be outstanding at any Vault." in browser.get(HOME).text
    run = Run(world, tenant)
    run.tell(run.log_in())
    run.finish(tells=False)
    assert '<p class="number">1</p>' in browser.get(HOME).text
