"""The pages of environments: what they show, ask and queue on real rows, and that no text in them is obeyed."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from console import Browser, console, new_key
from factories import Tenant, World
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema import metadata
from runpass.server.db.schema.deployments import deployments
from runpass.server.deployments.model import DeployRequest
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.model import Environment, Project
from runpass.server.variables.model import VariableScope

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"
FIELDS = {
    "projects": ("name",),
    "environments": ("name", "workspace_name"),
    "templates": ("name",),
    "credentials": ("name",),
    "variables": ("value",),
    "deployments": ("comment",),
    "api_keys": ("name",),
}


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


def page_of(environment: Environment) -> str:
    return f"/console/environments/{environment.id}"


def new_page_of(project: Project) -> str:
    return f"/console/projects/{project.id}/environments/new"


def send(browser: Browser, page: str, fields: dict[str, str], path: str = "") -> tuple[int, str]:
    """Send a form of a page; give the status, and the text or the place it leads to."""
    answer = browser.post(path or page, browser.form(page) | fields)
    return answer.status_code, answer.headers.get("location") or answer.text


def now(world: World, environment: Environment) -> Environment:
    with world.database.read() as tx:
        found = environment_store.get_environment(tx, environment.organization_id, environment.id)
    assert found is not None
    return found


def comments(world: World) -> list[str]:
    with world.database.read() as tx:
        return list(tx.execute(select(deployments.c.comment).order_by(deployments.c.id)).scalars())


def test_an_environment_is_made_and_its_first_deployment_queued(browser: Browser, tenant: Tenant):
    project = tenant.project()
    template = tenant.template(project)
    fields = {
        "name": "web",
        "blueprintId": str(template.id),
        "configurationChanges": "REGION=eu=central\r\n\r\nTIER=1",
        "requiresApproval": "true",
        "ttlType": "HOURS",
        "ttlValue": "8",
    }
    status, place = send(browser, new_page_of(project), fields)
    assert (status, place.startswith("/console/deployments/")) == (303, True)
    found = re.search(r"/console/environments/[0-9a-f-]{36}", browser.get(place).text)
    assert found is not None
    text = browser.get(found[0]).text
    assert "<code>eu=central</code>" in text
    assert "<code>TIER</code>" in text
    assert "every plan needs one" in text
    assert "2026-01-02T11:04:05.678Z" in text
    assert place in text


def test_an_environment_is_made_without_a_deployment_where_that_is_asked_for(browser: Browser, tenant: Tenant):
    project = tenant.project()
    fields = {"name": "web", "blueprintId": str(tenant.template(project).id), "preventAutoDeploy": "true"}
    status, place = send(browser, new_page_of(project), fields)
    assert (status, place.endswith("?done=created")) == (303, True)
    text = browser.get(place).text
    assert "The environment was made." in text
    assert "Nothing was deployed here yet." in text


def test_a_project_without_templates_is_told_what_is_missing(browser: Browser, tenant: Tenant):
    project = tenant.project()
    tenant.template()
    text = browser.get(new_page_of(project)).text
    assert "No template is attached to this project" in text
    assert 'name="blueprintId"' not in text


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(browser: Browser, tenant: Tenant):
    project, environment = tenant.somewhere_to_deploy()
    new, one = new_page_of(project), page_of(environment)
    foreign = str(tenant.template(name="elsewhere").id)
    for at, fields, path, error in (
        (new, {"name": "", "ttlValue": "typed"}, "", "field-name-error"),
        (new, {"name": "typed", "blueprintId": foreign}, "", "field-blueprintId-error"),
        (new, {"name": "typed", "ttlType": "HOURS", "ttlValue": "no"}, "", "field-ttlValue-error"),
        (new, {"name": "x", "configurationChanges": "A=1\ntyped"}, "", "line 2 must be NAME=value"),
        (f"{one}/deploy", {"configurationChanges": "A=typed\n1B=2"}, "", "field-configurationChanges-error"),
        (f"{one}/deploy", {"targets": "typed"}, "", "field-targets-error"),
        (f"{one}/deploy", {"blueprintRevision": "--typed"}, "", "field-blueprintRevision-error"),
        (f"{one}/deploy", {"runnerPool": "typed"}, "", "field-runnerPool-error"),
        (f"{one}/destroy", {"runnerPool": "typed"}, "", "field-runnerPool-error"),
        (one, {"name": ""}, "", "field-name-error"),
        (one, {"ttlType": "HOURS", "ttlValue": "typed"}, f"{one}/lifespan", "field-ttlValue-error"),
        (one, {"ttlType": "HOURS"}, f"{one}/lifespan", "field-ttlValue-error"),
        (one, {"ttlType": ""}, f"{one}/lifespan", "field-ttlType-error"),
    ):
        status, text = send(browser, at, fields, path)
        assert status == 422, fields
        assert error in text, fields
        assert "typed" in text or not any("typed" in value for value in fields.values()), fields


def test_a_form_that_is_sent_twice_queues_one_deployment(browser: Browser, world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    page = f"{page_of(environment)}/deploy"
    form = browser.form(page) | {"comment": "once"}
    first, second = browser.post(page, form), browser.post(page, form)
    assert first.headers["location"] == second.headers["location"]
    assert comments(world) == ["once"]
    another = browser.post(page, form | {"comment": "another"})
    assert another.status_code == 422
    assert "was used for another request" in another.text
    send(browser, page, {"comment": "another"})
    assert comments(world) == ["once", "another"]


def test_a_destruction_asks_and_is_queued(browser: Browser, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    page = f"{page_of(environment)}/destroy"
    assert "It cannot be taken back once it runs." in browser.get(page).text
    status, place = send(browser, page, {"comment": "no longer needed"})
    assert status == 303
    text = browser.get(place).text
    assert "Destruction of environment" in text
    assert "no longer needed" in text


def test_an_environment_is_renamed_given_an_end_archived_and_taken_back(browser: Browser, world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    page = page_of(environment)
    assert send(browser, page, {"name": "renamed", "requiresApproval": "true"}) == (303, f"{page}?done=changed")
    assert now(world, environment).name == "renamed"
    assert now(world, environment).requires_approval
    life = {"ttlType": "DATE", "ttlValue": "2026-03-04T05:06"}
    assert send(browser, page, life, f"{page}/lifespan") == (303, f"{page}?done=lifespan")
    assert "2026-03-04T05:06" in browser.get(page).text
    assert send(browser, page, {"isArchived": "true"}, f"{page}/archive") == (303, f"{page}?done=archived")
    text = browser.get(page).text
    assert "Cancelled" in text
    assert f'"{page}/deploy"' not in text
    status, text = send(browser, page, {}, f"{page}/deploy")
    assert (status, "The environment is archived." in text) == (409, True)
    status, text = send(browser, page, {}, f"{page}/destroy")
    assert (status, "destroyed or archived already" in text) == (400, True)
    assert send(browser, page, {"isArchived": "false"}, f"{page}/archive") == (303, f"{page}?done=unarchived")
    assert not now(world, environment).is_archived


def test_a_form_that_was_drawn_before_a_change_overwrites_nothing(browser: Browser, world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    page = page_of(environment)
    before = browser.form(page)
    send(browser, page, {"name": "first"})
    answer = browser.post(page, before | {"name": "second"})
    assert answer.status_code == 412
    assert now(world, environment).name == "first"


def test_each_variable_is_shown_with_where_it_comes_from_and_no_sensitive_value_is(browser: Browser, tenant: Tenant):
    top = tenant.project("top")
    project = tenant.project("below", top)
    template = tenant.template(project)
    environment = tenant.environment(project, template)
    for scope, place in (
        (VariableScope.GLOBAL, tenant.id),
        (VariableScope.BLUEPRINT, template.id),
        (VariableScope.PROJECT, top.id),
        (VariableScope.ENVIRONMENT, environment.id),
    ):
        tenant.variable(scope, place, f"OF_{scope.value}", f"value of {scope.value}")
        tenant.variable(scope, place, "SHARED", f"shared of {scope.value}")
    tenant.variable(VariableScope.PROJECT, project.id, "SENSITIVE", "canary-1234", is_sensitive=True)
    text = browser.get(page_of(environment)).text
    for shown in ("the organization", "its template", "the project top", "the project below", "this environment"):
        assert f">{shown}</a>" in text, shown
    assert "shared of ENVIRONMENT" in text
    assert "shared of PROJECT" not in text
    assert "sensitive: not shown" in text
    assert "canary-1234" not in text


def test_the_credential_of_the_nearest_project_is_named_to_those_who_may_see_it(
    client: TestClient, browser: Browser, world: World, tenant: Tenant
):
    hidden = tenant.project("hidden-above")
    project = tenant.project("below", hidden)
    environment = tenant.environment(project, tenant.template(project))
    tenant.assign(tenant.credential(name="inherited"), hidden)
    assert "Assigned to" in browser.get(page_of(environment)).text
    assert "the project hidden-above" in browser.get(page_of(environment)).text
    for role, seen in ((ProjectRole.ADMIN, True), (ProjectRole.VIEWER, False)):
        other = Browser(client)
        other.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {project.id: role}))
        text = other.get(page_of(environment)).text
        assert ("inherited" in text) is seen
        assert "hidden-above" not in text
        assert ("VIEW_CREDENTIALS" in text) is not seen
    tenant.assign(tenant.credential(name="nearest"), project)
    text = browser.get(page_of(environment)).text
    assert "nearest" in text
    assert "inherited" not in text


def test_whoever_may_only_plan_is_asked_for_nothing_else(client: TestClient, world: World, tenant: Tenant):
    project, environment = tenant.somewhere_to_deploy()
    planner = Browser(client)
    planner.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {project.id: ProjectRole.PLANNER}))
    page = f"{page_of(environment)}/deploy"
    text = planner.get(page).text
    assert 'name="comment"' in text
    assert 'name="configurationChanges"' not in text
    assert send(planner, page, {"configurationChanges": "A=1"})[0] == 403
    assert send(planner, page, {})[0] == 303
    assert 'action="/console/environments' not in planner.get(page_of(environment)).text


def test_the_environments_of_a_project_are_filtered_and_paged(browser: Browser, tenant: Tenant):
    project = tenant.project()
    template = tenant.template(project)
    page = f"/console/projects/{project.id}/environments"
    assert "There is no environment here." in browser.get(page).text
    for number in range(51):
        environment = tenant.environment(project, template, f"many 100% {number}")
    tenant.queue(tenant.environment(project, template, "Else_where"), DeployRequest())
    first = browser.get(f"{page}?name=MANY&status=CREATED").text
    assert "name=MANY&amp;status=CREATED&amp;offset=50" in first
    assert ">many 100% 50<" in browser.get(f"{page}?name=MANY&status=CREATED&offset=50").text
    assert page_of(environment) not in first
    found = browser.get(f"{page}?name=e_w").text
    assert ">Else_where<" in found
    assert ">many" not in found
    assert "No environment of this project is like that." in browser.get(f"{page}?status=FAILED").text
    assert browser.get(f"{page}?status=x").status_code == 422
    assert browser.get(f"{page}?name={'x' * 256}").status_code == 422


def test_no_text_of_anybody_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    top = tenant.project("top")
    project = tenant.project("below", top)
    template = tenant.template(project)
    environment = tenant.environment(project, template)
    tenant.assign(tenant.credential(), top)
    tenant.variable(VariableScope.PROJECT, top.id, "NAME", "value")
    tenant.queue(environment, DeployRequest(comment="x"))
    with world.database.write() as tx:
        for table, columns in FIELDS.items():
            for column in columns:
                tx.execute(update(metadata.tables[table]).values({column: f"{table}-{column}{EVIL}"}))
        asked = {"blueprint_revision": f"environments-revision{EVIL}"}
        tx.execute(update(metadata.tables["environments"]).values(settings=asked))
    one = page_of(environment)
    pages = [
        one,
        f"{one}/deploy",
        f"{one}/destroy",
        new_page_of(project),
        f"/console/projects/{project.id}/environments",
    ]
    texts = [browser.get(path).text for path in pages]
    refused = [
        send(browser, at, {"name": "", "targets": EVIL, "comment": EVIL, "ttlValue": EVIL})[1] for at in pages[:4]
    ]
    for text in (*texts, *refused):
        assert "<script>" not in text
        assert "4900140001" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
    for table, columns in {**FIELDS, "environments": ("name", "workspace_name", "revision")}.items():
        for column in columns:
            assert f"{table}-{column}&lt;script&gt;" in "".join(texts), (table, column)
