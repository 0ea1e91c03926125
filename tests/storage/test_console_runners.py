"""The pages of runners: what is said of each, letting one join, and ending one."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from console import Browser, console
from factories import Tenant, World
from runpass.errors import Unauthenticated
from runpass.protocol.registration import Isolation, Registration
from runpass.secret import Secret
from runpass.server.db.schema import metadata
from runpass.server.runners.joining import register, runner_of

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"


@pytest.fixture
def browser(world: World, tenant: Tenant) -> Iterator[Browser]:
    with console(world) as client:
        browser = Browser(client)
        browser.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
        yield browser


def path(tenant: Tenant, more: str = "") -> str:
    return f"/console/organizations/{tenant.id}/runners{more}"


def test_an_empty_list_says_what_to_do(browser: Browser, tenant: Tenant):
    text = browser.get(path(tenant)).text
    assert "There is no runner here" in text
    assert "runpass join-token create" in text


def test_a_runner_that_is_not_heard_of_is_silent(browser: Browser, world: World, tenant: Tenant):
    tenant.runner(pool="builders", capacity=3)
    text = browser.get(path(tenant)).text
    assert "in touch</span>" in text
    assert "builders" in text
    world.clock.advance(timedelta(minutes=3))
    assert "silent</span>" in browser.get(path(tenant)).text


def test_a_join_token_is_shown_once_and_lets_a_runner_join(browser: Browser, world: World, tenant: Tenant):
    fields = {**browser.form(path(tenant)), "pool": "builders", "uses": "2", "lifetimeSeconds": "60"}
    answer = browser.post(path(tenant, "/join-tokens"), fields)
    assert answer.status_code == 200
    token = answer.text.partition('<pre id="token" tabindex="0"><code>')[2].partition("<")[0]
    assert answer.headers["cache-control"] == "no-store"
    assert "runpass runner" in answer.text
    registration = Registration(name="new", version="1", isolation=Isolation.UID, capacity=1)
    assert register(world.database, Secret(token), registration, world.clock).runner.pool == "builders"
    assert token not in browser.get(path(tenant)).text


def test_what_is_wrong_with_a_join_token_is_said_at_its_field(browser: Browser, tenant: Tenant):
    fields = {**browser.form(path(tenant)), "pool": "Not A Pool", "uses": "0"}
    answer = browser.post(path(tenant, "/join-tokens"), fields)
    assert answer.status_code == 422
    assert 'value="Not A Pool"' in answer.text
    assert 'id="field-pool-error"' in answer.text
    assert 'id="field-uses-error"' in answer.text


def test_revoking_is_asked_and_ends_the_key(browser: Browser, world: World, tenant: Tenant):
    joined = tenant.join()
    here = path(tenant, f"/{joined.runner.id}/revoke")
    asked = browser.get(here)
    assert "It runs nothing at this moment." in asked.text
    answer = browser.post(here, browser.form(here))
    assert answer.status_code == 303
    assert "The runner is revoked." in browser.get(answer.headers["location"]).text
    with world.database.read() as tx, pytest.raises(Unauthenticated):
        runner_of(tx, joined.key)
    assert browser.get(here).status_code == 404


def test_no_text_of_anybody_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    joined = tenant.join(pool="x")
    with world.database.write() as tx:
        tx.execute(update(metadata.tables["runners"]).values(name=f"name{EVIL}", version="v<script>"))
        tx.execute(update(metadata.tables["runner_pools"]).values(name="pool<script>{{7*7}}\u202e"))
    for place in ("", f"/{joined.runner.id}/revoke"):
        text = browser.get(path(tenant, place)).text.partition("<main")[2]
        assert "name&lt;script&gt;" in text
        assert "pool&lt;script&gt;" in text
        assert "<script" not in text
        assert "4900140001" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
