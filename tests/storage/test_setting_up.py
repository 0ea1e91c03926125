"""The first run: one token, good once, for an hour, and only while there is no organization."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from console import PASSWORD, Browser, console
from factories import World
from runpass.errors import NotFound
from runpass.secret import Secret
from runpass.server.access.permissions import OrganizationRole
from runpass.server.db.schema.access import people
from runpass.server.db.schema.instance import instance
from runpass.server.db.schema.tenancy import organizations
from runpass.server.tenancy.setting_up import (
    FILE_NAME,
    LIFETIME,
    FirstOnes,
    WrongToken,
    check_token,
    make_token,
    needs_set_up,
    set_up,
)

PAGE = "/console/set-up"
FIRST = FirstOnes(organization="Acme", sign_in_name="ann@example.com", display_name="Ann")


@pytest.fixture
def browser(world: World, tmp_path: Any) -> Iterator[Browser]:
    with console(world, data_dir=tmp_path) as client:
        yield Browser(client)


@pytest.fixture
def token(world: World) -> Secret:
    made = make_token(world.database, world.clock)
    assert made is not None
    return made


def send(browser: Browser, token: str, **fields: str) -> Any:
    sent = {
        "token": token,
        "organization": "Acme",
        "signInName": "ann@example.com",
        "displayName": "Ann <b>",
        "newPassword": PASSWORD,
    }
    return browser.post(PAGE, {**browser.form(PAGE), **sent, **fields})


def names(world: World) -> list[str]:
    with world.database.read() as tx:
        return list(tx.execute(select(organizations.c.name)).scalars())


def test_the_token_makes_the_organization_and_its_admin_who_is_signed_in(
    browser: Browser, world: World, token: Secret, tmp_path: Any
):
    (tmp_path / FILE_NAME).write_text(token.reveal())
    assert browser.get("/console/").headers["location"] == PAGE, "the first page leads there"
    assert browser.get(PAGE).status_code == 200
    answer = send(browser, token.reveal())
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    home = browser.get("/console/").text
    assert "Acme" in home
    assert "Ann &lt;b&gt;" in home
    with world.database.read() as tx:
        (person,) = tx.execute(select(people)).all()
    assert (person.organization_role, person.created_by) == (OrganizationRole.ADMIN.value, "set-up")
    again = Browser(browser.client)
    assert again.sign_in(("ann@example.com", PASSWORD)).status_code == 303
    assert not (tmp_path / FILE_NAME).exists()
    assert Browser(browser.client).get(PAGE).status_code == 404


def test_a_wrong_token_makes_nothing(browser: Browser, world: World, token: Secret):
    for wrong in ("rpu_x", token.reveal()[:-1], token.reveal() + "x", "ä"):
        refused = send(browser, wrong)
        assert refused.status_code == 401
        assert "The set-up token is wrong, was used, or is too old." in refused.text
        assert wrong not in refused.text or wrong == "ä"
    assert names(world) == []
    assert send(browser, token.reveal()).status_code == 303


def test_without_a_token_that_was_made_none_is_right(browser: Browser, world: World):
    assert send(browser, "rpu_x").status_code == 401
    assert names(world) == []


def test_the_token_is_good_for_an_hour(browser: Browser, world: World, token: Secret):
    world.clock.advance(LIFETIME)
    assert send(browser, token.reveal()).status_code == 401
    assert names(world) == []


def test_what_is_wrong_with_the_form_leaves_the_token_as_it_was(browser: Browser, world: World, token: Secret):
    for wrong in ({"newPassword": "short"}, {"signInName": "a b"}, {"organization": ""}, {"displayName": "x" * 256}):
        answer = send(browser, token.reveal(), **wrong)
        assert answer.status_code == 422, wrong
        assert token.reveal() not in answer.text
        assert PASSWORD not in answer.text
    assert send(browser, token.reveal()).status_code == 303


def test_the_token_is_good_once_even_for_two_at_the_same_moment(world: World, token: Secret):
    stored = check_token(world.database, token, world.clock.now())
    with world.database.write() as tx:
        set_up(tx, stored, FIRST, "hash", world.clock.now())
    with pytest.raises(WrongToken), world.database.write() as tx:
        set_up(tx, stored, FIRST, "hash", world.clock.now())
    with pytest.raises(NotFound):
        check_token(world.database, token, world.clock.now())
    assert names(world) == ["Acme"]


def test_several_servers_have_one_token(world: World, token: Secret):
    assert make_token(world.database, world.clock) is None
    check_token(world.database, token, world.clock.now())
    world.clock.advance(LIFETIME)
    later = make_token(world.database, world.clock)
    assert later is not None
    check_token(world.database, later, world.clock.now())


def test_a_new_token_ends_the_one_before(world: World, token: Secret):
    newer = make_token(world.database, world.clock, anew=True)
    assert newer is not None
    check_token(world.database, newer, world.clock.now())
    with pytest.raises(WrongToken):
        check_token(world.database, token, world.clock.now())


def test_where_there_is_an_organization_there_is_no_token_and_no_page(browser: Browser, world: World, token: Secret):
    fields = browser.form(PAGE)
    world.tenant("acme")
    assert not needs_set_up(world.database)
    assert make_token(world.database, world.clock, anew=True) is None
    assert browser.get(PAGE).status_code == 404
    assert browser.post(PAGE, {**fields, "token": token.reveal()}).status_code == 404
    assert names(world) == ["acme"]


def test_what_is_stored_is_no_token(world: World, token: Secret):
    with world.database.read() as tx:
        stored = tx.execute(select(instance.c.value).where(instance.c.name == "set_up_token")).scalar_one()
    assert token.reveal() not in stored
    assert len(token.reveal()) > 43


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_a_form_from_elsewhere_sets_nothing_up(browser: Browser, world: World, token: Secret, headers: dict[str, str]):
    fields = {**browser.form(PAGE), "token": token.reveal(), "organization": "Acme", "signInName": "ann"}
    sent = {**fields, "displayName": "Ann", "newPassword": PASSWORD}
    assert browser.post(PAGE, sent, headers).status_code == 403
    assert browser.post(PAGE, {**sent, "form_token": "0" * 64}).status_code == 403
    browser.cookies.clear()
    assert browser.post(PAGE, sent).status_code == 400
    assert names(world) == []
