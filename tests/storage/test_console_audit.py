"""The page of the audit trail: filters, going further back, lines of JSON, and that texts are only read."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from console import Browser, console
from factories import Tenant, World
from runpass.server.audit import AuditEvent, record
from runpass.server.trail import looking
from runpass.server.trail.looking import look
from runpass.server.trail.store import Wanted
from runpass.server.web import paging

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


def page_of(tenant: Tenant, lines: str = "", **query: str) -> str:
    return f"/console/organizations/{tenant.id}/audit{lines}?{urlencode(query)}"


def note(tenant: Tenant, *names: str, actor: str = "system", every: timedelta = timedelta(0)) -> None:
    """Write an event on each of these things, one after the other."""
    world = tenant.world
    for name in names:
        with world.database.write() as tx:
            record(tx, AuditEvent(world.clock.now(), actor, "thing.noted", "thing", name, tenant.id, {"called": name}))
        world.clock.advance(every)


def things(text: str) -> list[str]:
    return re.findall(r"called: (\w+)", text)


def test_events_are_shown_newest_first_by_who_what_on_what_and_when(browser: Browser, world: World, tenant: Tenant):
    start = world.clock.now()
    note(tenant, "a", "b", "c", "d", every=timedelta(minutes=12))
    note(tenant, "e", actor="operator:ann")
    assert things(browser.get(page_of(tenant)).text) == ["e", "d", "c", "b", "a"]
    assert things(browser.get(page_of(tenant, action="thing.noted", subjectId="b")).text) == ["b"]
    assert things(browser.get(page_of(tenant, actor="operator:ann")).text) == ["e"]
    at = {name: (start + timedelta(minutes=minutes)).isoformat() for name, minutes in (("from", 6), ("to", 30))}
    assert things(browser.get(page_of(tenant, **at)).text) == ["c", "b"]
    assert things(browser.get(page_of(tenant, **at, subjectId="c")).text) == ["c"]
    assert "No event fits" in browser.get(page_of(tenant, action="nothing")).text
    first = browser.get(page_of(tenant, action="organization.created")).text
    assert "organization.created" in first


def test_a_deployment_is_linked_and_its_maker_named(browser: Browser, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    queued = tenant.queue(environment)
    text = browser.get(page_of(tenant, action="deployment.queued")).text
    assert f'href="/console/deployments/{queued.id}"' in text
    assert f"{tenant.api_key.name}<small>" in text


def test_further_back_leads_to_every_event_once(
    browser: Browser, world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
):
    names = [f"n{number}" for number in range(paging.PAGE + 10)]
    note(tenant, *names[:3], actor="operator:rare")
    note(tenant, *names[3:])
    first = browser.get(page_of(tenant, action="thing.noted")).text
    further = re.search(r'rel="next" href="([^"]+)"', first)
    assert further
    second = browser.get(further[1].replace("&amp;", "&")).text
    assert [*things(first), *things(second)] == names[::-1]
    assert 'rel="next"' not in second
    monkeypatch.setattr(looking, "MOST_LOOKED_AT", 20)
    wanted, before, pages = Wanted(50, actor="operator:rare"), None, 0
    seen: list[str] = []
    while pages == 0 or before is not None:
        with world.database.read() as tx:
            found = look(tx, tenant.id, Wanted(wanted.limit, before, actor=wanted.actor))
        before, pages = found.before, pages + 1
        seen += [event.subject_id for event in found.events]
    assert seen == ["n2", "n1", "n0"]
    assert pages >= 3


def test_lines_of_json_are_as_the_api_has_them(browser: Browser, client: TestClient, tenant: Tenant):
    note(tenant, "a", "b")
    answer = browser.get(page_of(tenant, "/events.jsonl", action="thing.noted"))
    auth = (tenant.api_key.api_key_id, tenant.api_secret.reveal())
    query = {"organizationId": str(tenant.id), "action": "thing.noted"}
    assert [json.loads(line) for line in answer.text.splitlines()] == client.get(
        "/api/audit-events", params=query, auth=auth
    ).json()
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-events.jsonl"'


def test_what_cannot_be_looked_for_is_said_at_its_field(browser: Browser, tenant: Tenant):
    answer = browser.get(page_of(tenant, **{"from": "yesterday"}))
    assert answer.status_code == 422
    assert 'id="from-error"' in answer.text
    assert 'value="yesterday"' in answer.text
    assert browser.get(page_of(tenant, "/events.jsonl", to="9999-99-99")).status_code == 422
    assert browser.get(page_of(tenant, **{"from": "0001-01-01T00:00+23:59"})).status_code == 422
    assert browser.get(page_of(tenant, to="9999-12-31T23:59")).status_code == 422
    assert browser.get(page_of(tenant, **{"from": "1970-01-01T00:00"}, to="2999-12-31T23:59+02:00")).status_code == 200
    for before in ("x", "0", "9" * 19, "-1"):
        assert browser.get(page_of(tenant, before=before)).status_code == 422
    assert browser.get(page_of(tenant, actor="\x00")).status_code == 200


def test_another_organizations_events_are_not_shown(browser: Browser, world: World, tenant: Tenant):
    other = world.tenant("other")
    note(other, "theirs")
    assert "theirs" not in browser.get(page_of(tenant)).text
    assert browser.get(page_of(other)).status_code == 404


def test_no_text_of_anybody_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    kinds = {name: f"{name}{EVIL}" for name in ("actor", "action", "kind", "id")}
    kinds["kind"] = f"kind{EVIL}"[:32]
    event = AuditEvent(world.clock.now(), kinds["actor"], kinds["action"][:64], kinds["kind"], kinds["id"], tenant.id)
    with world.database.write() as tx:
        record(tx, event)
        detail = {f"name{EVIL}": f"value{EVIL}"}
        record(tx, AuditEvent(event.at, "system", "x", "deployment", f"deployed{EVIL}", tenant.id, detail))
    seen = ""
    for path in (page_of(tenant), page_of(tenant, action=f"filter{EVIL}", actor=f"who{EVIL}")):
        text = browser.get(path).text
        assert "<script" not in text.partition("<main")[2]
        assert "4900140001" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        seen += text
    for name in (*kinds, "name", "value", "deployed", "filter", "who"):
        assert f"{name}&lt;script&gt;" in seen, name


def test_lines_of_json_do_nothing_to_the_terminal_that_shows_them(browser: Browser, tenant: Tenant):
    note(tenant, "\x9b2J\x9d0;title\x9c\u202e\u2028ü\U0001f680")
    text = browser.get(page_of(tenant, "/events.jsonl", action="thing.noted")).text
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    (line,) = text.splitlines()
    assert json.loads(line)["subjectId"] == "\x9b2J\x9d0;title\x9c\u202e\u2028ü\U0001f680"
