"""The pages of templates: what they show and change, on real rows, and that nothing in them does more than be read."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from console import Browser, console, new_key
from factories import Tenant, World
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema import metadata
from runpass.server.templates import store
from runpass.server.templates.forms import SEPARATOR
from runpass.server.templates.model import GitSource, Retry, RetryRule, ShellSource, Template

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
    return f"/console/organizations/{tenant.id}/templates"


def of(template: Template) -> str:
    return f"/console/templates/{template.id}"


def now(world: World, template: Template) -> Template:
    with world.database.read() as tx:
        found = store.get_template(tx, template.organization_id, template.id)
    assert found is not None
    return found


def send(browser: Browser, page: str, fields: dict[str, str], path: str = "") -> tuple[int, str]:
    """Send a form of a page; give the status, and the text or the place it leads to."""
    answer = browser.post(path or page, browser.form(page) | fields)
    return answer.status_code, answer.headers.get("location") or answer.text


def page(browser: Browser, tenant: Tenant, query: str = "") -> str:
    answer = browser.get(f"/console/organizations/{tenant.id}/templates{query}")
    assert answer.status_code == 200
    return str(answer.text)


def test_templates_are_listed_with_their_code_and_where_they_may_run(browser: Browser, tenant: Tenant):
    assert "There is no template here." in page(browser, tenant)
    tenant.template(tenant.project())
    text = page(browser, tenant)
    assert "shell" in text
    assert "1 project<" in text
    for _ in range(50):
        tenant.template(tenant.project())
    assert 'rel="next"' in page(browser, tenant)
    assert 'rel="next"' not in page(browser, tenant, "?offset=50")


def test_no_text_of_a_template_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    shell, git = (tenant.template(tenant.project()) for _ in range(2))
    table = metadata.tables["templates"]
    source = {name: f"{name}<script>" for name in ("revision", "path")}
    source["repository"] = "https://git.example.com/repository<script>"
    with world.database.write() as tx:
        for column in ("name", "description"):
            tx.execute(update(table).where(table.c.id == shell.id).values({column: f"{column}{EVIL}"}))
        tx.execute(update(table).where(table.c.id == git.id).values(type="terraform", source=source))
        commands = {name: [f"{name}{EVIL}"] for name in ("commands", "planCommands", "destroyCommands")}
        tx.execute(update(table).where(table.c.id == shell.id).values(source=commands))
        projects = metadata.tables["projects"]
        tx.execute(update(projects).values(name=f"project{EVIL}"))
    texts = [page(browser, tenant), *(browser.get(of(template)).text for template in (shell, git))]
    for text in texts:
        assert "<script>" not in text
        assert "4900140001" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
    for shown in ("name", "description", "revision", "path", "repository", "project", *commands):
        assert f"{shown}&lt;script&gt;" in "".join(texts), shown


def test_a_shell_template_is_made_changed_attached_taken_away_and_deleted(
    browser: Browser, world: World, tenant: Tenant
):
    project = tenant.project("top")
    assert "(no runner runs it yet)" in browser.get(f"{list_of(tenant)}/new").text
    form = f"{list_of(tenant)}/new?type=shell"
    assert browser.get(form).text.count(">\n</textarea>") == 4, "nothing is typed yet"  # description and commands
    commands = f"echo one\r\necho two\r\n{SEPARATOR}\r\necho three"
    wanted = {"name": "new", "description": "two\r\nlines", "commands": commands, "destroyCommands": "true"}
    status, place = send(browser, form, wanted, list_of(tenant))
    assert (status, place.endswith("?done=created")) == (303, True)
    at = place.partition("?")[0]
    assert "The template was made." in browser.get(place).text
    with world.database.read() as tx:
        (made,) = store.list_templates(tx, tenant.id)
    assert made.description == "two\nlines"
    assert made.source == ShellSource(
        commands=("echo one\necho two", "echo three"), plan_commands=(), destroy_commands=("true",)
    )
    assert send(browser, at, wanted | {"name": "renamed"}) == (303, f"{at}?done=changed")
    assert now(world, made).name == "renamed"
    assert now(world, made).source == made.source
    attached = send(browser, at, {"projectId": str(project.id)}, f"{at}/projects")
    assert attached == (303, f"{at}?done=attached")
    assert now(world, made).project_ids == (project.id,)
    taken = send(browser, at, {}, f"{at}/projects/{project.id}/detach")
    assert taken == (303, f"{at}?done=detached")
    tenant.environment(project, made)
    assert "1 environment was made from it." in browser.get(at).text
    assert send(browser, at, {}, f"{at}/delete") == (303, f"{list_of(tenant)}?done=deleted")
    gone = browser.get(at).text
    assert "This template is deleted." in gone
    assert 'method="post" action="/console/templates' not in gone
    assert send(browser, at, wanted)[0] == 409


def test_a_change_leaves_what_no_form_shows_as_it_is(browser: Browser, world: World, tenant: Tenant):
    source = GitSource(
        repository="https://git.example.com/one.git",
        revision="main",
        path="live",
        retry=Retry(on_deploy=RetryRule(times=2)),
        is_git_lab=True,
        terraform_version="1.9.0",
    )
    template = tenant.template(terraform=source)
    wanted = {"name": "two", "type": "opentofu", "repository": "https://git.example.com/two.git", "path": "/live"}
    assert send(browser, of(template), wanted)[0] == 303
    changed = now(world, template)
    assert (changed.name, changed.type.value) == ("two", "opentofu")
    assert changed.source == source.model_copy(update={"repository": "https://git.example.com/two.git", "revision": ""})


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(browser: Browser, tenant: Tenant):
    template = tenant.template()
    at, new = of(template), list_of(tenant)
    git = {"name": "x", "type": "opentofu"}
    stranger = "00000000-0000-7000-8000-000000000000"
    for page_of, fields, path, error in (
        (f"{new}/new?type=shell", {"name": "", "commands": "typed"}, new, "field-name-error"),
        (f"{new}/new?type=shell", {"name": "typed", "commands": ""}, new, "field-commands-error"),
        (f"{new}/new?type=shell", {"name": "typed", "type": "typed"}, new, "field-type-error"),
        (new, {**git, "description": "typed"}, new, "field-repository-error"),
        (new, {**git, "name": "typed", "repository": "https://a:password@example.com/x"}, new, "must carry no user"),
        (new, {**git, "repository": "https://example.com/x", "revision": "-typed"}, new, "field-revision-error"),
        (at, {"name": "", "type": "shell", "commands": "typed"}, "", "field-name-error"),
        (at, {"name": "x", "commands": f"a\n{SEPARATOR}\ntyped{'x' * 65_536}"}, "", "the command 2 is longer"),
        (at, {"projectId": "typed"}, f"{at}/projects", "field-projectId-error"),
        (at, {"projectId": stranger}, f"{at}/projects", "field-projectId-error"),
    ):
        if "projects" in path and "projectId" in fields:
            tenant.project()
        status, text = send(browser, page_of, fields, path)
        assert status == 422, fields
        assert error in text, fields
        assert "typed" in text or {"type", "projectId"} & set(fields), "what was no choice has no field to stand in"
        assert "password@" not in text


def test_a_command_that_holds_the_separator_is_not_torn_in_two(browser: Browser, tenant: Tenant):
    template = tenant.template(commands=[f"cat <<EOF\n{SEPARATOR}\nEOF"])
    text = browser.get(of(template)).text
    assert "One of its commands has the line" in text
    assert 'id="field-commands"' not in text


def test_a_form_that_was_drawn_before_a_change_overwrites_nothing(browser: Browser, world: World, tenant: Tenant):
    template = tenant.template()
    before = browser.form(of(template))
    wanted = {"type": "shell", "commands": "true"}
    assert send(browser, of(template), {"name": "first", **wanted})[0] == 303
    assert browser.post(of(template), before | {"name": "second", **wanted}).status_code == 412
    assert browser.post(f"{of(template)}/delete", before).status_code == 412
    assert now(world, template).name == "first"
    assert not now(world, template).is_deleted


def test_who_may_see_a_template_is_not_told_the_names_of_projects_that_are_hidden(
    client: TestClient, world: World, tenant: Tenant
):
    hidden, seen = tenant.project("hidden-project"), tenant.project("seen-project")
    template = tenant.template(hidden, seen)
    user = Browser(client)
    user.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {seen.id: ProjectRole.ADMIN}))
    text = user.get(of(template)).text
    assert "seen-project" in text
    assert "hidden-project" not in text
    assert "Projects that you may not see: 1." in text
    assert 'id="change"' not in text
    assert send(user, of(template), {}, f"{of(template)}/projects/{hidden.id}/detach")[0] == 404
    assert send(user, of(template), {}, f"{of(template)}/projects/{seen.id}/detach")[0] == 303
    assert now(world, template).project_ids == (hidden.id,)


def test_many_projects_are_paged_and_of_very_many_the_id_is_typed(browser: Browser, world: World, tenant: Tenant):
    first, *others = [tenant.project(f"project {number}") for number in range(52)]
    template = tenant.template(*others)
    text = browser.get(of(template)).text
    assert 'rel="next"' in text
    assert f'<option value="{first.id}">project 0</option>' in text
    assert text.count("<option") == 1, "the others have it"
    assert 'rel="next"' not in browser.get(f"{of(template)}?offset=50").text
    for number in range(149):
        tenant.project(f"more {number}")
    text = browser.get(of(template)).text
    assert 'name="projectId" type="text"' in text
    assert "Its id stands on its page." in text
    assert send(browser, of(template), {"projectId": str(first.id)}, f"{of(template)}/projects")[0] == 303
    assert first.id in now(world, template).project_ids
