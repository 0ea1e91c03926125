"""People: how they join, sign in and prove to be themselves again, and everything that ends what they may."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from argon2 import Parameters, PasswordHasher, Type
from argon2.profiles import CHEAPEST
from sqlalchemy import select, update
from starlette.testclient import TestClient

from console import PASSWORD, Browser, console, new_key, new_person
from factories import Tenant, World
from runpass.errors import Conflict, InvalidInput, NotFound, RunpassError, Unauthenticated
from runpass.ids import PersonId, new_id
from runpass.secret import Secret
from runpass.server.access import people_store
from runpass.server.access.actors import Actor
from runpass.server.access.people import (
    INVITATION,
    Invited,
    PersonRequest,
    checked_sign_in_name,
    invite_person,
    person_actor,
    sign_in_key,
)
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.access.sessions import start_session_of
from runpass.server.access.sign_ins import WINDOW_SECONDS, WRONG_FOR_A_NAME
from runpass.server.access.users import user
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.access import console_sessions, people
from runpass.server.db.schema.audit import audit_events
from runpass.server.people.changing import change_roles, invite_again, remove_person
from runpass.server.web.cookies import SESSION
from surface_scene import basic_of

HOME, SESSIONS, JOIN, OWN_PASSWORD = "/console/", "/console/sessions", "/console/join", "/console/password"
OTHER = "galloping horses rest"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as client:
        yield client


@pytest.fixture
def browser(client: TestClient) -> Browser:
    return Browser(client)


@pytest.fixture
def ann(world: World, tenant: Tenant) -> Person:
    return new_person(world, tenant.id, "Ann@example.com")


def invited(world: World, tenant: Tenant, name: str, role: OrganizationRole = OrganizationRole.USER) -> Invited:
    wanted = PersonRequest(
        organization_id=tenant.id, sign_in_name=name, display_name=name, organization_role=role, project_roles={}
    )
    with world.database.write() as tx:
        return invite_person(tx, wanted, by="test", clock=world.clock)


def is_in(browser: Browser) -> bool:
    return browser.get(HOME).status_code == 200


def sign_in(client: TestClient, name: str, password: str = PASSWORD) -> Browser:
    browser = Browser(client)
    assert browser.sign_in((name, password)).status_code == 303
    return browser


def join(browser: Browser, name: str, code: Secret, password: str = PASSWORD) -> Any:
    sent = {"signInName": name, "code": code.reveal(), "newPassword": password}
    return browser.post(JOIN, {**browser.form(JOIN), **sent})


def change(browser: Browser, current: str, new: str) -> Any:
    return browser.post(OWN_PASSWORD, {**browser.form(), "currentPassword": current, "newPassword": new})


def actions(world: World, person: Person) -> list[str]:
    with world.database.read() as tx:
        query = select(audit_events.c.action).where(audit_events.c.subject_id == str(person.id))
        return list(tx.execute(query.order_by(audit_events.c.seq)).scalars())


def row(world: World, person: Person) -> Any:
    with world.database.read() as tx:
        return tx.execute(select(people).where(people.c.id == person.id)).one_or_none()


def test_a_person_signs_in_by_name_and_password_however_the_name_is_typed(
    client: TestClient, ann: Person, world: World
):
    for name in ("Ann@example.com", " ann@EXAMPLE.com "):
        browser = sign_in(client, name)
        assert is_in(browser)
        assert "API key" not in browser.get(SESSIONS).text
    assert row(world, ann).last_sign_in_at == world.clock.now()
    with world.database.read() as tx:
        query = select(audit_events.c.actor).where(audit_events.c.action == "session.started")
        assert set(tx.execute(query).scalars()) == {f"user:{ann.id}"}


def test_whatever_is_wrong_gets_one_sentence(client: TestClient, ann: Person, world: World, tenant: Tenant):
    waiting = invited(world, tenant, "waiting").person
    tried = [
        (ann.sign_in_name, OTHER),
        (ann.sign_in_name, ""),
        (ann.sign_in_name, "x" * 2_000),
        ("nobody@example.com", PASSWORD),
        (waiting.sign_in_name, ""),
        ("\x00", PASSWORD),
        ("", ""),
    ]
    said = set()
    for name, password in tried:
        answer = Browser(client).sign_in((name, password))
        assert answer.status_code == 401, name
        said.add("The name or the password is wrong, or the API key id or its secret." in answer.text)
    assert said == {True}


def test_what_is_stored_is_no_password(ann: Person, world: World):
    stored = row(world, ann).password_hash
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


def test_an_invitation_code_is_good_once_for_its_own_name(client: TestClient, world: World, tenant: Tenant):
    bob, eve = invited(world, tenant, "Bob"), invited(world, tenant, "eve")
    for name, code in (("bob", eve.code), ("nobody", bob.code), ("bob", Secret("rpv_x")), ("\x00", bob.code)):
        refused = join(Browser(client), name, code)
        assert refused.status_code == 401
        assert "The name or the code is wrong, or the code was used, or is too old." in refused.text
    browser = Browser(client)
    assert join(browser, "BOB", bob.code).headers["location"] == HOME
    assert is_in(browser)
    assert join(Browser(client), "bob", bob.code).status_code == 401
    assert is_in(sign_in(client, "bob"))
    assert actions(world, bob.person) == ["person.invited", "person.joined"]
    assert row(world, bob.person).invitation_sha256 is None


def test_an_invitation_code_is_good_for_three_days(client: TestClient, world: World, tenant: Tenant):
    bob = invited(world, tenant, "bob")
    world.clock.advance(INVITATION)
    assert join(Browser(client), "bob", bob.code).status_code == 401
    assert row(world, bob.person).password_hash is None


def test_a_password_that_is_not_taken_leaves_the_code_as_it_was(client: TestClient, world: World, tenant: Tenant):
    bob = invited(world, tenant, "bob.the.builder@example.com")
    browser = Browser(client)
    for password in ("short", "passwordpassword", "bob.the.builder1", "a" * 20, ""):
        answer = join(browser, bob.person.sign_in_name, bob.code, password)
        assert answer.status_code == 422, password
        assert bob.code.reveal() not in answer.text
        assert not password or f'value="{password}"' not in answer.text
    assert join(browser, bob.person.sign_in_name, bob.code).status_code == 303


def test_another_password_ends_every_session_and_this_browser_gets_a_new_one(
    client: TestClient, ann: Person, world: World
):
    elsewhere, here = sign_in(client, ann.sign_in_name), sign_in(client, ann.sign_in_name)
    before = here.session
    assert change(here, PASSWORD, OTHER).headers["location"] == SESSIONS
    assert here.session != before
    assert is_in(here)
    assert not is_in(elsewhere)
    copied = Browser(client)
    copied.cookies[SESSION] = before
    assert not is_in(copied)
    assert Browser(client).sign_in((ann.sign_in_name, PASSWORD)).status_code == 401
    assert is_in(sign_in(client, ann.sign_in_name, OTHER))
    assert "person.password_changed" in actions(world, ann)


def test_a_password_is_changed_only_by_whoever_knows_it(client: TestClient, ann: Person):
    browser = sign_in(client, ann.sign_in_name)
    wrong = change(browser, OTHER, OTHER)
    assert (wrong.status_code, "The current password is wrong." in wrong.text) == (401, True)
    assert change(browser, PASSWORD, "short").status_code == 422
    assert is_in(sign_in(client, ann.sign_in_name))
    assert is_in(browser)


def test_an_api_key_has_no_password(browser: Browser, world: World, tenant: Tenant):
    browser.sign_in(new_key(world, tenant.id, OrganizationRole.ADMIN))
    assert browser.get(OWN_PASSWORD).headers["location"] == SESSIONS
    assert change(browser, PASSWORD, OTHER).headers["location"] == SESSIONS


def test_a_planted_session_is_never_taken_over_by_a_person(client: TestClient, ann: Person):
    planted = "rpc_" + "A" * 43
    browser = Browser(client)
    browser.cookies[SESSION] = planted
    browser.sign_in((ann.sign_in_name, PASSWORD))
    assert browser.session != planted
    other = Browser(client)
    other.cookies[SESSION] = planted
    assert not is_in(other)


def test_a_person_opens_no_door_of_the_api(client: TestClient, ann: Person):
    browser = sign_in(client, ann.sign_in_name)
    assert browser.get("/api/organizations").status_code == 401
    for name in (ann.sign_in_name, f"user:{ann.id}", str(ann.id)):
        for secret in (PASSWORD, browser.session):
            assert Browser(client).get("/api/organizations", **basic_of(name, secret)).status_code == 401
    assert Browser(client).get("/api/organizations", Authorization=f"Bearer {browser.session}").status_code == 401


def test_other_roles_end_the_sessions_begun_before(client: TestClient, ann: Person, world: World, tenant: Tenant):
    new_person(world, tenant.id, "second")
    browser, project = sign_in(client, ann.sign_in_name), tenant.project()
    roles = {project.id: ProjectRole.DEPLOYER}
    with world.database.write() as tx:
        change_roles(tx, tenant.admin, ann.id, role=OrganizationRole.USER, on=roles, now=world.clock.now())
    assert not is_in(browser)
    with world.database.read() as tx:
        person = people_store.get_person(tx, tenant.id, ann.id)
    assert person is not None
    assert (person.organization_role, person.project_roles) == (OrganizationRole.USER, roles)


def test_the_same_roles_again_end_nothing(client: TestClient, ann: Person, world: World, tenant: Tenant):
    browser = sign_in(client, ann.sign_in_name)
    with world.database.write() as tx:
        change_roles(tx, tenant.admin, ann.id, role=OrganizationRole.ADMIN, on={}, now=world.clock.now())
    assert is_in(browser)


def test_roles_on_another_organizations_project_are_refused(ann: Person, world: World, tenant: Tenant):
    theirs = {world.tenant("globex").project().id: ProjectRole.ADMIN}
    with pytest.raises(InvalidInput, match="there is no such project"), world.database.write() as tx:
        change_roles(tx, tenant.admin, ann.id, role=OrganizationRole.ADMIN, on=theirs, now=world.clock.now())


def test_removing_somebody_ends_everything(client: TestClient, ann: Person, world: World, tenant: Tenant):
    new_person(world, tenant.id, "second")
    browser = sign_in(client, ann.sign_in_name)
    with world.database.write() as tx:
        remove_person(tx, tenant.admin, ann.id, world.clock.now())
    assert not is_in(browser)
    assert row(world, ann) is None
    with world.database.read() as tx:
        assert tx.execute(select(console_sessions)).all() == []
    assert Browser(client).sign_in((ann.sign_in_name, PASSWORD)).status_code == 401


def test_the_database_itself_ends_the_sessions_of_whoever_is_deleted(client: TestClient, ann: Person, world: World):
    browser = sign_in(client, ann.sign_in_name)
    with world.database.write() as tx:
        people_store.delete_person(tx, ann.id)
    assert not is_in(browser)


def test_a_new_invitation_ends_the_password_and_the_sessions(
    client: TestClient, ann: Person, world: World, tenant: Tenant
):
    new_person(world, tenant.id, "second")
    browser = sign_in(client, ann.sign_in_name)
    with world.database.write() as tx:
        again = invite_again(tx, tenant.admin, ann.id, world.clock)
    assert not is_in(browser)
    assert Browser(client).sign_in((ann.sign_in_name, PASSWORD)).status_code == 401
    assert join(Browser(client), ann.sign_in_name, again.code, OTHER).status_code == 303
    assert is_in(sign_in(client, ann.sign_in_name, OTHER))


CHANGES: dict[str, Callable[[Transaction, Actor, Person, World], object]] = {
    "removed": lambda tx, by, person, world: remove_person(tx, by, person.id, world.clock.now()),
    "demoted": lambda tx, by, person, world: change_roles(
        tx, by, person.id, role=OrganizationRole.USER, on={}, now=world.clock.now()
    ),
    "invited": lambda tx, by, person, world: invite_again(tx, by, person.id, world.clock),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_last_admin_who_can_sign_in_stays_one(ann: Person, world: World, tenant: Tenant, change: Any):
    invited(world, tenant, "not-yet", OrganizationRole.ADMIN)
    with pytest.raises(Conflict, match="last admin"), world.database.write() as tx:
        change(tx, tenant.admin, ann, world)
    assert row(world, ann).password_hash == ann.password_hash
    new_person(world, tenant.id, "second")
    with world.database.write() as tx:
        change(tx, tenant.admin, ann, world)
    with world.database.read() as tx:
        assert people_store.count_admins(tx, tenant.id) == 1


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nobody_changes_the_people_of_another_organization(ann: Person, world: World, change: Any):
    stranger = world.tenant("globex").admin
    with pytest.raises(NotFound), world.database.write() as tx:
        change(tx, stranger, ann, world)
    assert row(world, ann).password_hash == ann.password_hash


def test_a_sign_in_name_is_one_persons_on_the_whole_server(ann: Person, world: World):
    other = world.tenant("globex")
    with pytest.raises(InvalidInput, match="is taken"):
        invited(world, other, "ANN@example.com")
    again = replace(ann, id=PersonId(new_id()))
    with pytest.raises(Conflict), world.database.write() as tx:  # as two at the same moment would
        people_store.insert_person(tx, again)


@pytest.mark.parametrize("name", ["", " ", "a b", "rpk_1234", "RPK_1234", "a\x00b", "a\u202eb", "x" * 256, "a\nb"])
def test_some_names_are_nobodys(name: str):
    with pytest.raises(InvalidInput, match="signInName"):
        checked_sign_in_name(name)


def test_names_that_look_the_same_are_the_same():
    assert sign_in_key("Zoe\u0308") == sign_in_key("zo\u00eb")
    assert sign_in_key("STRASSE") == sign_in_key("straße")


@pytest.mark.parametrize("owners", [(None, None), ("key", "person")])
def test_a_session_is_of_a_key_or_of_a_person(
    client: TestClient, ann: Person, world: World, tenant: Tenant, owners: tuple[str | None, str | None]
):
    sign_in(client, ann.sign_in_name)
    columns = {
        "api_key_id": tenant.api_key.id if owners[0] else None,
        "person_id": ann.id if owners[1] else None,
    }
    with pytest.raises(RunpassError, match="one_owner"), world.database.write() as tx:
        tx.execute(update(console_sessions).values(**columns))


def test_a_password_that_was_changed_while_it_was_checked_begins_no_session(ann: Person, world: World, tenant: Tenant):
    new_person(world, tenant.id, "second")
    with world.database.write() as tx:
        invite_again(tx, tenant.admin, ann.id, world.clock)
    with pytest.raises(Unauthenticated), world.database.write() as tx:
        start_session_of(tx, ann, "", world.clock.now())


def test_guesses_at_one_name_are_few_from_wherever_and_lock_nobody_out(
    client: TestClient, ann: Person, world: World, tenant: Tenant
):
    new_person(world, tenant.id, "bob")
    at_home = TestClient(client.app, base_url=str(client.base_url), client=("192.0.2.1", 1))
    sign_in(at_home, ann.sign_in_name)
    for number in range(WRONG_FOR_A_NAME):
        guesser = TestClient(client.app, base_url=str(client.base_url), client=(f"198.51.100.{number}", 1))
        assert Browser(guesser).sign_in((ann.sign_in_name.upper(), OTHER)).status_code == 401
    away = TestClient(client.app, base_url=str(client.base_url), client=("203.0.113.9", 1))
    refused = Browser(away).sign_in((ann.sign_in_name, PASSWORD))
    assert refused.status_code == 429
    assert "too many wrong passwords for this name" in refused.text.lower()
    assert is_in(sign_in(away, "bob"))
    assert is_in(sign_in(at_home, ann.sign_in_name)), "whoever comes from where the person was last is let in"
    world.clock.advance(timedelta(seconds=WINDOW_SECONDS))
    assert is_in(sign_in(away, ann.sign_in_name))


def test_a_hash_of_other_parameters_is_replaced_when_the_password_is_known(
    client: TestClient, ann: Person, world: World
):
    older = Parameters(Type.ID, 19, 16, 32, time_cost=1, memory_cost=16, parallelism=2)
    with world.database.write() as tx:
        tx.execute(update(people).values(password_hash=PasswordHasher.from_parameters(older).hash(PASSWORD)))
    assert is_in(sign_in(client, ann.sign_in_name))
    stored = row(world, ann).password_hash
    assert not PasswordHasher.from_parameters(CHEAPEST).check_needs_rehash(stored)
    assert is_in(sign_in(client, ann.sign_in_name))


def test_what_a_person_made_says_so(ann: Person, world: World, tenant: Tenant):
    with world.database.read() as tx:
        made_by = user(tx, tenant.id, person_actor(ann).audit_name)
        gone = user(tx, tenant.id, f"user:{new_id()}")
        elsewhere = user(tx, world.tenant("globex").id, person_actor(ann).audit_name)
    assert (made_by.name, made_by.email) == (ann.display_name, "Ann@example.com")
    assert not made_by.app_metadata.is_api_key
    assert (gone.name, gone.email, elsewhere.name, elsewhere.email) == ("", "", "", "")
