"""The page of what is outstanding: what it says of real rows, and that nothing in them does more than be read."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import update

from console import Browser, console
from factories import LEASE, Tenant, World
from runpass.protocol.identity import ForJob
from runpass.protocol.sweeps import SweepResult
from runpass.protocol.vault_logins import LoginEnd
from runpass.server.db.schema import metadata
from runpass.server.deployments import outstanding as rule
from vault_run import ACCESSOR, Run, gone

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}`x`\u202e\x1b[31m"
SHOWN = "\\u202e"
FIELDS = {
    "organizations": ("name", "description"),
    "api_keys": ("name",),
    "projects": ("name",),
    "environments": ("name",),
    "vault_logins": ("credential_name", "address", "namespace", "mount", "role_name", "sweep_said", "sweep_hint"),
    "identity_tokens": ("jti", "audience"),
}
"""Every text on the console's pages that somebody else wrote."""


@pytest.fixture
def browser(world: World, tenant: Tenant) -> Iterator[Browser]:
    """A browser in which the tenant's admin is signed in."""
    with console(world) as client:
        browser = Browser(client)
        browser.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
        yield browser


def page(browser: Browser, tenant: Tenant) -> str:
    answer = browser.get(f"/console/organizations/{tenant.id}/outstanding")
    assert answer.status_code == 200
    return str(answer.text)


def words_of(text: str) -> str:
    """Give what a person reads."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text.partition("<main")[2])).split())


def part(text: str, heading: str) -> str:
    """Give the words below one heading."""
    return words_of("<main>" + text.partition(f'id="{heading}"')[2].partition("<h2")[0])


def test_the_three_groups_stand_apart(browser: Browser, world: World, tenant: Tenant):
    left, lost = Run(world, tenant, roleName="left"), Run(world, tenant, roleName="lost")
    login = left.log_in()
    left.tell(login)
    left.passport.issue(left.holder, ForJob())
    lost.log_in()
    left.finish(gone(login, LoginEnd.FAILED))
    lost.finish(tells=False)
    text = page(browser, tenant)
    known, unknown, held = (part(text, name) for name in ("known", "unknown", "identity-tokens"))
    assert "1 Vault token of ended runs may still live." in known
    assert "Role left at auth/jwt" in known
    assert "lost" not in known
    assert f"Accessor {ACCESSOR}" in known
    assert f"bao write auth/token/revoke-accessor accessor={ACCESSOR}" in known
    assert "Of 1 login nobody knows whether it gave a token." in unknown
    assert "Role lost at auth/jwt" in unknown
    assert "Nobody knows" in unknown
    assert "1 identity token of jobs that ended could still log in, wherever a role accepts them." in held
    assert str(left.lease.run.deployment_id) in held
    assert "project / environment" in held


def test_none_is_said_with_what_cannot_be_known_and_never_as_a_number(browser: Browser, world: World, tenant: Tenant):
    nothing = words_of(page(browser, tenant))
    assert "Nothing is known to be outstanding, and there is nothing for you to do." in nothing
    assert not re.search(r"\b0\b", re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "", nothing))
    run = Run(world, tenant)
    run.log_in()
    assert "1 login of a run that goes on: in use, and not counted here." in words_of(page(browser, tenant))
    world.clock.advance(LEASE)
    run.lose()
    text = page(browser, tenant)
    assert "so this does not say that there is none" in part(text, "known")
    assert "Nothing is known" not in text
    assert not re.search(r"\b0 (Vault|login|identity)", words_of(text))


def test_an_identity_token_is_listed_until_no_vault_takes_it(browser: Browser, world: World, tenant: Tenant):
    run = Run(world, tenant)
    run.passport.issue(run.holder, ForJob())
    run.finish()
    world.clock.advance(timedelta(minutes=5, seconds=59))
    assert "1 identity token" in part(page(browser, tenant), "identity-tokens")
    world.clock.advance(timedelta(seconds=1))
    assert "None that can still log in." in part(page(browser, tenant), "identity-tokens")


def test_what_a_sweep_saw_is_told_with_what_to_do(browser: Browser, world: World, tenant: Tenant):
    run = Run(world, tenant)
    login = run.log_in()
    run.tell(login)
    run.lose()
    runner = tenant.runner()
    task = run.sweep(runner)
    assert task is not None
    run.swept(task, SweepResult.NOT_OURS, runner)
    text = page(browser, tenant)
    assert "Alarm: the accessor that its runner reported is that of another token" in part(text, "unknown")
    assert "The runner saw: text" in part(text, "unknown")
    assert 'class="alarm"' in text
    assert "revoke-accessor" not in text, "it would revoke somebody else's token"


def test_the_page_can_be_of_one_project_alone(browser: Browser, world: World, tenant: Tenant):
    run = Run(world, tenant)
    run.log_in()
    run.finish(tells=False)
    empty, here = tenant.project("empty"), f"/console/organizations/{tenant.id}/outstanding"
    assert "Of 1 login nobody knows" in words_of(browser.get(here).text)
    with world.database.read() as tx:
        project_id = tx.exec_driver_sql("SELECT project_id FROM vault_logins").scalar_one()
    assert "Of 1 login nobody knows" in words_of(browser.get(f"{here}?projectId={project_id}").text)
    nothing = browser.get(f"{here}?projectId={empty.id}").text
    assert "Only of the project empty" in words_of(nothing)
    assert "nobody knows whether" not in words_of(nothing)
    stranger = world.tenant("other").project("theirs")
    assert browser.get(f"{here}?projectId={stranger.id}").status_code == 404
    assert browser.get(f"{here}?projectId=x").status_code == 422


def test_a_page_that_cannot_hold_all_says_so(
    browser: Browser, world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
):
    run = Run(world, tenant)
    for _ in range(2):
        run.log_in()
    run.finish(tells=False)
    monkeypatch.setattr(rule, "MOST", 1)
    text = words_of(page(browser, tenant))
    assert "There is more than this page holds." in text
    assert "Of at least 1 login nobody knows" in text
    assert "Nothing is known" not in text


def test_no_text_of_anybody_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    run = Run(world, tenant)
    login = run.log_in()
    run.tell(login)
    run.log_in()
    run.passport.issue(run.holder, ForJob())
    run.finish(gone(login, LoginEnd.FAILED), tells=False)
    with world.database.write() as tx:
        for table, columns in FIELDS.items():
            for column in columns:
                evil = f"{column}{EVIL}"[:64] if column == "jti" else f"{column}{EVIL}"
                tx.execute(update(metadata.tables[table]).values({column: evil}))
        tx.exec_driver_sql("UPDATE vault_logins SET swept = 'failed', sweeps = 1")
    seen = ""
    for path in ("/console/", "/console/sessions", f"/console/organizations/{tenant.id}/outstanding"):
        text = browser.get(path).text
        assert "<script" not in text.partition("<main")[2]
        assert "4900140001" not in text, "a template inside the text was worked out"
        assert "\u202e" not in text
        assert "\x1b" not in text
        seen += text
    for column in {column for columns in FIELDS.values() for column in columns}:
        assert f"{column}&lt;script&gt;" in seen, column
    assert SHOWN in seen
