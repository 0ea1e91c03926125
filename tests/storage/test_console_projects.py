"""The pages of projects: what they show and change, on real rows, and that nothing in them does more than be read."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from console import Browser, console, new_key
from factories import Tenant, World
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema import metadata
from runpass.server.tenancy import store
from runpass.server.tenancy.model import Project

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


def list_of(tenant: Tenant) -> str:
    return f"/console/organizations/{tenant.id}/projects"


def now(world: World, project: Project) -> Project | None:
    with world.database.read() as tx:
        return store.get_project(tx, project.organization_id, project.id)


def send(browser: Browser, page: str, fields: dict[str, str], path: str = "") -> tuple[int, str]:
    """Send a form of a page; give the status, and the text or the place it leads to."""
    answer = browser.post(path or page, browser.form(page) | fields)
    return answer.status_code, answer.headers.get("location") or answer.text


def test_a_project_is_made_changed_moved_and_deleted(browser: Browser, world: World, tenant: Tenant):
    top = tenant.project("top")
    status, place = send(browser, list_of(tenant), {"name": "new", "description": "two\r\nlines"})
    assert (status, place.endswith("?done=created")) == (303, True)
    page = place.partition("?")[0]
    assert "The project was made." in browser.get(place).text
    assert send(browser, page, {"name": "renamed", "isArchived": ""}) == (303, f"{page}?done=changed")
    assert send(browser, page, {"targetProjectId": str(top.id)}, f"{page}/move") == (303, f"{page}?done=moved")
    assert "the project has sub-projects" in browser.get(f"/console/projects/{top.id}").text
    assert send(browser, page, {}, f"{page}/delete") == (303, f"{list_of(tenant)}?done=deleted")
    assert browser.get(page).status_code == 404
    assert now(world, top) is not None


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(browser: Browser, tenant: Tenant):
    project = tenant.project()
    page = f"/console/projects/{project.id}"
    stranger = "00000000-0000-7000-8000-000000000000"
    for at, fields, path, error in (
        (list_of(tenant), {"name": "", "description": "typed"}, "", "field-name-error"),
        (list_of(tenant), {"name": "typed", "parentProjectId": stranger}, "", "field-parentProjectId-error"),
        (page, {"name": "", "description": "typed"}, "", "field-name-error"),
        (page, {"targetProjectId": "typed"}, f"{page}/move", "field-targetProjectId-error"),
        (page, {"targetProjectId": str(project.id)}, f"{page}/move", "a project cannot stand below itself"),
    ):
        status, text = send(browser, at, fields, path)
        assert status == 422, fields
        assert error in text, fields
        assert "typed" in text or str(project.id) in text


def test_a_form_that_was_drawn_before_a_change_overwrites_nothing(browser: Browser, world: World, tenant: Tenant):
    project = tenant.project()
    page = f"/console/projects/{project.id}"
    before = browser.form(page)
    send(browser, page, {"name": "first"})
    answer = browser.post(page, before | {"name": "second"})
    assert answer.status_code == 412
    found = now(world, project)
    assert found is not None
    assert found.name == "first"


def test_the_tree_is_filtered_and_paged(browser: Browser, tenant: Tenant):
    top = tenant.project("top")
    tenant.project("Below the top", top)
    for number in range(50):
        tenant.project(f"many {number}")
    first = browser.get(list_of(tenant)).text
    assert 'rel="next"' in first
    assert first.index(">Below the top<") > first.index(">top<")
    assert 'rel="next"' not in browser.get(f"{list_of(tenant)}?offset=50").text
    found = browser.get(f"{list_of(tenant)}?name=BELOW").text
    assert ">Below the top<" in found
    assert ">many" not in found


def test_whoever_may_see_a_sub_project_alone_is_not_told_what_stands_above(
    client: TestClient, world: World, tenant: Tenant
):
    hidden = tenant.project("hidden-above")
    seen = tenant.project("seen", hidden)
    browser = Browser(client)
    browser.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {seen.id: ProjectRole.VIEWER}))
    for path in (list_of(tenant), f"/console/projects/{seen.id}"):
        text = browser.get(path).text
        assert ">seen<" in text
        assert "hidden-above" not in text
        assert 'method="post" action="/console/projects' not in text
    assert browser.get(f"/console/projects/{hidden.id}").status_code == 404


def test_no_text_of_a_project_or_environment_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    top = tenant.project()
    below = tenant.project("below", top)
    tenant.environment(below, None)
    with world.database.write() as tx:
        for table, column in (("projects", "name"), ("projects", "description"), ("environments", "name")):
            tx.execute(update(metadata.tables[table]).values({column: f"{table}-{column}{EVIL}"}))
        tx.execute(update(metadata.tables["projects"]).values(tags=[f"projects-tags{EVIL}"]))
    texts = [browser.get(path).text for path in (list_of(tenant), f"/console/projects/{below.id}")]
    for text in texts:
        assert "<script>" not in text
        assert "4900140001" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
    for shown in ("projects-name", "projects-description", "environments-name", "projects-tags"):
        assert f"{shown}&lt;script&gt;" in "".join(texts), shown
