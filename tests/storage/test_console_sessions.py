"""Sessions of the console: how one begins, what it may, and everything that ends it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from console import HOST, OURS, Browser, console, new_key
from factories import Tenant, World
from runpass.server.access.api_keys import NewApiKey, delete_api_key
from runpass.server.access.permissions import OrganizationRole
from runpass.server.access.sessions import IDLE, LIFETIME, MOST_SESSIONS, forget_once
from runpass.server.db.schema.access import console_sessions
from runpass.server.db.schema.audit import audit_events
from runpass.server.web.cookies import SESSION, SIGN_IN

HOME = "/console/"
SESSIONS = "/console/sessions"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as client:
        yield client


@pytest.fixture
def key(world: World, tenant: Tenant) -> NewApiKey:
    return new_key(world, tenant.id, OrganizationRole.ADMIN)


@pytest.fixture
def browser(client: TestClient) -> Browser:
    return Browser(client)


def rows(world: World) -> list[Any]:
    with world.database.read() as tx:
        return list(tx.execute(select(console_sessions).order_by(console_sessions.c.id)))


def actions(world: World) -> list[str]:
    with world.database.read() as tx:
        query = select(audit_events.c.action).where(audit_events.c.subject_kind == "session")
        return list(tx.execute(query.order_by(audit_events.c.seq)).scalars())


def is_in(browser: Browser) -> bool:
    return browser.get(HOME).status_code == 200


def test_a_right_key_begins_a_session_and_goes_to_the_page_that_was_wanted(browser: Browser, key: NewApiKey):
    first = browser.get(SESSIONS)
    assert (first.status_code, first.headers["location"]) == (303, "/console/sign-in?next=%2Fconsole%2Fsessions")
    answer = browser.sign_in(key, "/console/sessions")
    assert (answer.status_code, answer.headers["location"]) == (303, SESSIONS)
    assert is_in(browser)
    assert set(browser.cookies) == {SESSION}
    assert browser.get("/console/sign-in?next=/console/sessions").headers["location"] == SESSIONS


def test_the_cookie_is_for_this_host_and_for_no_script(browser: Browser, key: NewApiKey):
    lines = browser.sign_in(key).headers.get_list("set-cookie")
    (line,) = [item for item in lines if item.startswith(f"{SESSION}=")]
    attributes = {part.strip().lower() for part in line.split(";")[1:]}
    assert attributes == {"secure", "httponly", "path=/", "samesite=lax"}
    assert len(browser.session) > 43


def test_what_is_stored_is_no_bearer(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    (row,) = rows(world)
    assert browser.session.encode() not in row.token_sha256
    assert len(row.token_sha256) == 32
    assert actions(world) == ["session.started"]


def test_a_wrong_key_gets_one_sentence_and_no_session(browser: Browser, key: NewApiKey, world: World):
    name, secret = key.key.api_key_id, key.secret.reveal()
    said = set()
    for tried in (("rpk_0000000000000000", secret), (name, secret[:-1]), ("x", "y"), ("", ""), ("\x00\u202e", "\x00")):
        answer = Browser(browser.client).sign_in(tried)
        assert answer.status_code == 401
        assert "www-authenticate" not in answer.headers
        assert secret[:-1] not in answer.text
        said.add("The name or the password is wrong, or the API key id or its secret." in answer.text)
    assert said == {True}
    assert rows(world) == []


def test_each_sign_in_has_a_new_bearer_and_ends_the_one_before(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    first = dict(browser.cookies)
    form = Browser(browser.client)
    fields = form.form("/console/sign-in")
    form.cookies |= first
    form.post(
        "/console/sign-in",
        {**fields, "name": key.key.api_key_id, "secret": key.secret.reveal()},
    )
    assert form.session != first[SESSION]
    assert is_in(form)
    assert not is_in(browser)
    assert len(rows(world)) == 1


def test_a_bearer_that_somebody_planted_is_never_taken_over(browser: Browser, key: NewApiKey):
    planted = "rpc_" + "A" * 43
    browser.cookies[SESSION] = planted
    browser.sign_in(key)
    assert browser.session != planted
    other = Browser(browser.client)
    other.cookies[SESSION] = planted
    assert not is_in(other)


def test_signing_out_ends_the_session_for_everybody_who_has_the_cookie(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    copied = Browser(browser.client)
    copied.cookies = dict(browser.cookies)
    answer = browser.post("/console/sign-out", browser.form())
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    assert SESSION not in browser.cookies
    assert not is_in(copied)
    assert rows(world) == []
    assert actions(world) == ["session.started", "session.ended"]


def test_a_session_ends_an_hour_after_the_last_page(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    world.clock.advance(IDLE - timedelta(seconds=1))
    assert is_in(browser)
    world.clock.advance(IDLE - timedelta(seconds=1))
    assert is_in(browser)
    world.clock.advance(IDLE)
    assert not is_in(browser)
    assert SESSION not in browser.cookies


def test_a_session_ends_twelve_hours_after_its_start_whatever_is_asked(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    for _ in range(24):
        assert is_in(browser)
        world.clock.advance(LIFETIME / 24)
    assert not is_in(browser)


def test_what_is_over_is_forgotten(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    forget_once(world.database, world.clock)
    assert len(rows(world)) == 1
    world.clock.advance(IDLE)
    forget_once(world.database, world.clock)
    assert rows(world) == []


def test_deleting_the_api_key_ends_its_sessions_at_once(browser: Browser, key: NewApiKey, world: World, tenant: Tenant):
    browser.sign_in(key)
    with world.database.write() as tx:
        delete_api_key(tx, tenant.id, key.key.id)
    assert not is_in(browser)
    assert rows(world) == []


def test_a_session_has_the_roles_that_its_key_has_now(browser: Browser, world: World, tenant: Tenant, key: NewApiKey):
    browser.sign_in(key)
    page = f"/console/organizations/{tenant.id}/outstanding"
    assert browser.get(page).status_code == 200
    with world.database.write() as tx:
        tx.exec_driver_sql("UPDATE api_keys SET organization_role = 'User'")
    assert browser.get(page).status_code == 403


def test_the_owner_sees_the_sessions_and_ends_one(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    lost = Browser(browser.client)
    lost.sign_in(key)
    other = next(row.id for row in rows(world))
    page = browser.get(SESSIONS).text
    assert page.count("/end") == 2
    assert page.count("(this one)") == 1
    own, second = (row.id for row in rows(world))
    assert other == own
    assert browser.post(f"{SESSIONS}/{second}/end", browser.form()).headers["location"] == SESSIONS
    assert not is_in(lost)
    assert is_in(browser)
    assert browser.post(f"{SESSIONS}/{own}/end", browser.form()).headers["location"] == "/console/sign-in"
    assert not is_in(browser)


def test_nobody_sees_or_ends_the_sessions_of_another_key(
    browser: Browser, key: NewApiKey, world: World, tenant: Tenant
):
    browser.sign_in(key)
    (theirs,) = (row.id for row in rows(world))
    neighbour = Browser(browser.client)
    neighbour.sign_in(new_key(world, tenant.id, OrganizationRole.ADMIN))
    assert str(theirs) not in neighbour.get(SESSIONS).text
    answers = [
        neighbour.post(f"{SESSIONS}/{item}/end", neighbour.form())
        for item in (theirs, "019f0000-0000-7000-8000-000000000000", "no-id")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert is_in(browser)


def test_one_session_too_many_ends_the_oldest(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    others = [Browser(browser.client) for _ in range(MOST_SESSIONS)]
    for other in others:
        other.sign_in(key)
    assert not is_in(browser)
    assert all(is_in(other) for other in others)
    assert len(rows(world)) == MOST_SESSIONS


FOREIGN = [
    {},
    {"Sec-Fetch-Site": "cross-site", "Origin": HOST},
    {"Sec-Fetch-Site": "same-site", "Origin": "null"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": HOST + ".evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_form_from_elsewhere_changes_nothing(browser: Browser, key: NewApiKey, world: World, headers: dict[str, str]):
    """Signing in included: else somebody could have a person work in the attacker's session."""
    name, secret = key.key.api_key_id, key.secret.reveal()
    fields = browser.form("/console/sign-in")
    answer = browser.post("/console/sign-in", {**fields, "name": name, "secret": secret}, headers)
    assert answer.status_code == 403
    assert browser.post("/console/sign-in", {"name": name}, headers).status_code == 403
    assert rows(world) == []
    browser.sign_in(key)
    fields = browser.form()
    assert browser.post("/console/sign-out", fields, headers).status_code == 403
    (session,) = (row.id for row in rows(world))
    assert browser.post(f"{SESSIONS}/{session}/end", fields, headers).status_code == 403
    assert is_in(browser)


def test_an_older_browser_that_says_only_its_origin_is_believed(browser: Browser, key: NewApiKey):
    browser.sign_in(key)
    assert browser.post("/console/sign-out", browser.form(), {"Origin": HOST}).status_code == 303


def test_a_form_without_the_sessions_own_token_changes_nothing(browser: Browser, key: NewApiKey, world: World):
    browser.sign_in(key)
    other = Browser(browser.client)
    other.sign_in(key)
    own, theirs = browser.form()["form_token"], other.form()["form_token"]
    assert own != theirs
    for fields in ({}, {"form_token": theirs}, {"form_token": own + "x"}, {"form_token": "ä"}):
        assert browser.post("/console/sign-out", fields, OURS).status_code in {403, 422}
    assert len(rows(world)) == 2
    name, secret = key.key.api_key_id, key.secret.reveal()
    fresh = Browser(browser.client)
    fields = fresh.form("/console/sign-in")
    fresh.cookies[SIGN_IN] = "rpf_" + "A" * 43
    sent = {**fields, "name": name, "secret": secret}
    assert fresh.post("/console/sign-in", sent).status_code == 403
    fresh.cookies.clear()
    lost = fresh.post("/console/sign-in", sent)
    assert lost.status_code == 400
    assert "did not keep the cookie" in lost.text
    assert len(rows(world)) == 2


def test_a_cookie_opens_no_door_of_the_api_and_a_key_in_a_header_no_page(
    browser: Browser, key: NewApiKey, tenant: Tenant
):
    browser.sign_in(key)
    assert browser.get("/api/organizations").status_code == 401
    assert browser.get(f"/api/vault-tokens/outstanding?organizationId={tenant.id}").status_code == 401
    browser.client.auth = (key.key.api_key_id, key.secret.reveal())
    nobody = Browser(browser.client)
    assert nobody.get("/api/organizations").status_code == 200
    assert nobody.get(HOME).headers["location"] == "/console/sign-in"
    assert nobody.get(SESSIONS).status_code == 303
    browser.client.auth = None


def test_an_api_key_as_a_cookie_and_a_session_as_a_key_are_nobody(browser: Browser, key: NewApiKey):
    browser.sign_in(key)
    session = browser.session
    assert browser.get("/api/organizations", Authorization=f"Bearer {session}").status_code == 401
    thief = Browser(browser.client)
    thief.cookies[SESSION] = key.secret.reveal()
    assert not is_in(thief)


ELSEWHERE = (
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "/console//evil.example",
    "/console/../api/organizations",
    "/console/%2e%2e/api",
    "/consoles",
    "/console/x#y",
    "/console/\r\nLocation: https://evil.example",
    "javascript:alert(1)",
    "/console@evil.example",
    "",
)


def test_nobody_is_sent_anywhere_but_to_a_page_of_the_console(browser: Browser, key: NewApiKey):
    name, secret = key.key.api_key_id, key.secret.reveal()
    for wanted in ELSEWHERE:
        browser.cookies.clear()
        fields = {**browser.form("/console/sign-in"), "next": wanted}
        answer = browser.post("/console/sign-in", {**fields, "name": name, "secret": secret})
        assert (answer.status_code, answer.headers["location"]) == (303, HOME), wanted
