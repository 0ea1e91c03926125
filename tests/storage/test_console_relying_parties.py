"""The page of relying parties: made, removed, the secret shown once, and nothing in it does more than be read."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from console import Browser, console
from factories import Tenant, World
from runpass.secret import Secret
from runpass.server.access.bearers import digest
from runpass.server.db.schema.relying_parties import relying_parties
from runpass.server.relying_parties import store

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"
AUDIENCES = "https://sts.example.com\r\n\r\n  https://other.example.com \r\n"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


def page_of(tenant: Tenant) -> str:
    return f"/console/organizations/{tenant.id}/relying-parties"


def make(browser: Browser, tenant: Tenant, **fields: str) -> tuple[int, str]:
    page = page_of(tenant)
    answer = browser.post(page, browser.form(page) | {"name": "sts", "audiences": AUDIENCES} | fields)
    return answer.status_code, answer.text


def test_a_relying_party_is_made_its_secret_shown_once_and_it_is_removed(
    browser: Browser, world: World, tenant: Tenant
):
    assert "No service asks about tokens yet." in browser.get(page_of(tenant)).text
    status, text = make(browser, tenant)
    shown = re.search(r'id="made-secret"[^>]*><code>([^<]+)<', text)
    assert (status, bool(shown)) == (200, True)
    secret = shown[1] if shown else ""
    with world.database.read() as tx:
        (party,) = store.list_all(tx, tenant.id)
        found = store.find(tx, party.id)
    assert (party.name, party.audiences) == ("sts", ("https://sts.example.com", "https://other.example.com"))
    assert found is not None
    assert found[1] == digest(Secret(secret))
    after = browser.get(page_of(tenant)).text
    assert "https://other.example.com" in after
    assert secret not in after
    page = f"{page_of(tenant)}/{party.id}/remove"
    assert browser.post(page, browser.form(page_of(tenant))).headers["location"] == f"{page_of(tenant)}?done=removed"
    assert "It is told nothing more." in browser.get(f"{page_of(tenant)}?done=removed").text
    assert browser.post(page, browser.form(page_of(tenant))).status_code == 404


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(browser: Browser, tenant: Tenant):
    for fields, where in (
        ({"name": ""}, "name"),
        ({"audiences": ""}, "audiences"),
        ({"audiences": "https://typed.example.com\r\nwith a space"}, "audiences"),
    ):
        status, text = make(browser, tenant, **fields)
        assert status == 422, fields
        assert f'id="field-{where}-error"' in text, fields
    assert "https://typed.example.com\nwith a space</textarea>" in text
    assert "made-secret" not in text


def test_no_text_of_anybody_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    make(browser, tenant)
    evil = {"name": f"name{EVIL}", "audiences": [f"audiences{EVIL}"], "created_by": f"created_by{EVIL}"}
    with world.database.write() as tx:
        tx.execute(update(relying_parties).values(**evil))
    text = browser.get(page_of(tenant)).text
    assert "<script" not in text.partition("<main")[2]
    assert "4900140001" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert [name for name in evil if f"{name}&lt;script&gt;" not in text] == []
