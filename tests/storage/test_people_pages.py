"""The pages of people and of API keys: what an admin does there, and that what others wrote is only shown."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from console import PASSWORD, Browser, console, new_key, new_person
from factories import Tenant, World
from runpass.secret import Secret
from runpass.server.access import people_store, store
from runpass.server.access.api_keys import delete_api_key
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema.audit import audit_events
from surface_scene import basic_of

SCRIPT = "<script>alert(1)</script>"
QUOTED = '"><img/src=x/onerror=alert(1)>'


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as client:
        yield client


@pytest.fixture
def ann(world: World, tenant: Tenant) -> Person:
    return new_person(world, tenant.id, "ann")


@pytest.fixture
def admin(client: TestClient, ann: Person) -> Browser:
    return signed_in(client, "ann")


@pytest.fixture
def below(tenant: Tenant) -> str:
    return f"/console/organizations/{tenant.id}"


def signed_in(client: TestClient, name: str) -> Browser:
    browser = Browser(client)
    assert browser.sign_in((name, PASSWORD)).status_code == 303
    return browser


def send(browser: Browser, path: str, **fields: str) -> Any:
    return browser.post(path, {**browser.form(), **fields})


def shown(answer: Any, name: str) -> str:
    """Give what a page shows to be copied."""
    found = re.search(rf'<pre id="{name}"[^>]*><code>([^<]*)</code>', answer.text)
    assert found, answer.text
    return unescape(found[1])


def person(world: World, tenant: Tenant, of: Person) -> Person | None:
    with world.database.read() as tx:
        return people_store.get_person(tx, tenant.id, of.id)


def test_an_admin_invites_somebody_who_joins(client: TestClient, admin: Browser, below: str, tenant: Tenant):
    project = tenant.project("web")
    answer = send(
        admin,
        f"{below}/people",
        signInName="bob@example.com",
        displayName="Bob",
        organizationRole="User",
        projectId=str(project.id),
        projectRole="Viewer",
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    code = shown(answer, "code")
    assert code not in admin.get(f"{below}/people").text
    bob = Browser(client)
    joining = {"signInName": "bob@example.com", "code": code, "newPassword": PASSWORD}
    assert bob.post("/console/join", {**bob.form("/console/join"), **joining}).status_code == 303
    assert bob.get("/console/").status_code == 200
    assert bob.get(f"{below}/people").status_code == 403
    assert (
        "Viewer of web"
        in admin.get(re.findall(r'href="([^"]+/people/[^"]+)"', admin.get(f"{below}/people").text)[1]).text
    )


def test_what_is_wrong_with_an_invitation_is_said_beside_its_field(admin: Browser, below: str):
    for fields, said in (
        ({"signInName": "ANN", "displayName": "x", "organizationRole": "User"}, "is taken"),
        ({"signInName": "a b", "displayName": "x", "organizationRole": "User"}, "without spaces"),
        ({"signInName": "x", "displayName": "x", "organizationRole": "Owner"}, "must be one of"),
        ({"signInName": "x", "displayName": "x"}, "is required"),
        ({"signInName": "x", "displayName": "x", "organizationRole": "User", "projectRole": "Admin"}, "must say where"),
    ):
        answer = send(admin, f"{below}/people", **fields)
        assert answer.status_code == 422
        assert said in answer.text


def test_roles_on_projects_come_and_go_one_by_one(admin: Browser, below: str, world: World, tenant: Tenant):
    bob = new_person(world, tenant.id, "bob", OrganizationRole.USER)
    one, other = tenant.project("one"), tenant.project("other")
    here = f"{below}/people/{bob.id}/roles"
    for project, role in ((one, "Viewer"), (other, "Deployer"), (one, "")):
        sent = {"organizationRole": "User", "projectId": str(project.id), "projectRole": role}
        assert send(admin, here, **sent).status_code == 303
    changed = person(world, tenant, bob)
    assert changed is not None
    assert changed.project_roles == {other.id: ProjectRole.DEPLOYER}
    assert send(admin, here).status_code == 422, "a form without a role takes none away"
    foreign = str(world.tenant("globex").project().id)
    refused = send(admin, here, organizationRole="User", projectId=foreign, projectRole="Admin")
    assert (refused.status_code, "there is no such project" in refused.text) == (422, True)


def test_the_last_admin_is_told_why_nothing_happens(
    admin: Browser, ann: Person, below: str, world: World, tenant: Tenant
):
    here = f"{below}/people/{ann.id}"
    for path, fields in (("remove", {}), ("invite", {}), ("roles", {"organizationRole": "User"})):
        answer = send(admin, f"{here}/{path}", **fields)
        assert answer.status_code == 409
        assert "last admin who can sign in. Make somebody else an admin first, who then joins." in answer.text
    left = person(world, tenant, ann)
    assert left is not None
    assert (left.organization_role, left.password_hash) == (OrganizationRole.ADMIN, ann.password_hash)
    assert admin.get("/console/").status_code == 200


def test_whoever_gives_up_being_an_admin_signs_in_again(
    admin: Browser, ann: Person, below: str, world: World, tenant: Tenant
):
    new_person(world, tenant.id, "second")
    before = admin.session
    answer = send(admin, f"{below}/people/{ann.id}/roles", organizationRole="User")
    assert answer.headers["location"] == "/console/sign-in"
    admin.cookies["__Host-runpass-session"] = before
    assert admin.get("/console/").status_code == 303


def test_an_admin_sees_and_ends_the_sessions_of_others(
    client: TestClient, admin: Browser, below: str, world: World, tenant: Tenant
):
    bob = new_person(world, tenant.id, "bob", OrganizationRole.USER)
    theirs = signed_in(client, "bob")
    page = f"{below}/people/{bob.id}"
    (end,) = re.findall(r'action="([^"]+/sessions/[^"]+/end)"', admin.get(page).text)
    assert send(theirs, end).status_code == 403
    assert send(admin, end).headers["location"] == page
    assert theirs.get("/console/").status_code == 303
    assert send(admin, end).status_code == 404
    with world.database.read() as tx:
        query = select(audit_events.c.actor).where(audit_events.c.action == "session.ended")
        assert set(tx.execute(query).scalars()) != {f"user:{bob.id}"}


def test_an_admin_makes_a_key_that_works_and_deletes_it(
    client: TestClient, admin: Browser, ann: Person, below: str, tenant: Tenant
):
    answer = send(admin, f"{below}/api-keys", name="ci", organizationRole="Admin")
    assert answer.headers["cache-control"] == "no-store"
    name, secret = shown(answer, "made-id"), shown(answer, "made-secret")
    page = admin.get(f"{below}/api-keys").text
    assert name in page
    assert secret not in page
    asked = {"organizationId": str(tenant.id)}
    listed = client.get("/api/api-keys", params=asked, headers=basic_of(name, secret)).json()
    (made,) = [key for key in listed if key["apiKeyId"] == name]
    assert (made["createdBy"], made["createdByUser"]["name"]) == (f"user:{ann.id}", "ann")
    assert send(admin, f"{below}/api-keys/{made['id']}/delete").status_code == 303
    assert client.get("/api/organizations", headers=basic_of(name, secret)).status_code == 401


def test_the_last_admin_key_stays(admin: Browser, below: str, tenant: Tenant, world: World):
    answer = send(admin, f"{below}/api-keys/{tenant.api_key.id}/delete")
    assert (answer.status_code, "last Admin key" in answer.text) == (409, True)
    other = new_key(world, tenant.id, OrganizationRole.ADMIN)
    with world.database.write() as tx:
        delete_api_key(tx, tenant.id, other.key.id)
    with world.database.read() as tx:
        assert store.get_api_key(tx, tenant.id, tenant.api_key.id) is not None


def test_a_role_on_another_organizations_project_makes_no_key(admin: Browser, below: str, world: World):
    foreign = str(world.tenant("globex").project().id)
    fields = {"name": "x", "organizationRole": "User", "projectId": foreign, "projectRole": "Admin"}
    assert send(admin, f"{below}/api-keys", **fields).status_code == 422


def test_what_others_wrote_is_shown_and_nothing_else(
    client: TestClient, admin: Browser, below: str, world: World, tenant: Tenant
):
    project = tenant.project(f"project {SCRIPT}")
    evil = new_person(world, tenant.id, f"e{QUOTED}", OrganizationRole.ADMIN, f"Eve {SCRIPT}\u202e")
    theirs = signed_in(client, evil.sign_in_name)
    fields = {"organizationRole": "Admin", "projectId": str(project.id), "projectRole": "Viewer"}
    send(theirs, f"{below}/api-keys", name=f"key {SCRIPT}{QUOTED}", **fields)
    send(admin, f"{below}/people/{evil.id}/roles", **fields)
    theirs = signed_in(client, evil.sign_in_name)
    pages = [
        theirs.get("/console/sessions"),
        theirs.get("/console/password"),
        admin.get(f"{below}/api-keys"),
        admin.get(f"{below}/people"),
        admin.get(f"{below}/people/{evil.id}"),
        send(admin, f"{below}/people/{evil.id}/invite"),
        send(admin, f"{below}/people", signInName=QUOTED, displayName="", organizationRole=QUOTED, projectId=SCRIPT),
        send(admin, f"{below}/api-keys", name="x" * 300 + QUOTED, organizationRole=SCRIPT),
        Browser(client).sign_in((QUOTED, SCRIPT)),
    ]
    joining = Browser(client)
    sent = {"signInName": QUOTED, "code": SCRIPT, "newPassword": QUOTED}
    pages.append(joining.post("/console/join", {**joining.form("/console/join"), **sent}))
    for page in pages:
        assert SCRIPT not in page.text
        assert "<img" not in page.text
        assert "\u202e" not in page.text
    assert sum("&lt;script&gt;" in page.text for page in pages) >= 6


def test_a_code_is_a_secret_of_its_own_kind(client: TestClient, admin: Browser, below: str):
    answer = send(admin, f"{below}/people", signInName="bob", displayName="Bob", organizationRole="Admin")
    code = Secret(shown(answer, "code"))
    for name in ("bob", "__Host-runpass-session"):
        thief = Browser(client)
        thief.cookies["__Host-runpass-session"] = code.reveal()
        assert thief.get("/console/").status_code == 303
        assert thief.sign_in((name, code.reveal())).status_code == 401
    assert client.get("/api/organizations", headers=basic_of("bob", code.reveal())).status_code == 401
