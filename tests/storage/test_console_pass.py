"""The pass of a run on its deployment's page: its identity, its logins, and what becomes of their tokens."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import update

from console import Browser, console, new_key
from factories import Tenant, World
from runpass.protocol.vault_logins import LoginEnd
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema import metadata
from runpass.server.issuer.keys import KeyState
from runpass.server.issuer.keys import new_key as new_signing_key
from runpass.server.issuer.store import insert_key
from vault_run import ACCESSOR, GIVEN, ISSUER, Run, gone

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b]0;x\x07"
TOLD = GIVEN.model_copy(update={"policies": ("default", "app"), "renewals": 0, "left_seconds": 120})


@pytest.fixture
def run(world: World, tenant: Tenant) -> Run:
    return Run(world, tenant)


@pytest.fixture
def browser(world: World, tenant: Tenant) -> Iterator[Browser]:
    with console(world) as client:
        browser = Browser(client)
        assert browser.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal())).status_code == 303
        yield browser


def card(browser: Browser, run: Run) -> str:
    """Give the HTML of the pass."""
    answer = browser.get(f"/console/deployments/{run.lease.run.deployment_id}")
    assert answer.status_code == 200, answer.text
    return str(answer.text.partition('class="panel pass"')[2].partition("</section>")[0])


def words(text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_a_run_that_has_not_logged_in_says_so(browser: Browser, run: Run):
    assert "It has not logged in at a Vault yet" in words(card(browser, run))
    run.finish()
    assert "It has logged in at no Vault" in words(card(browser, run))


def test_a_pass_shows_the_identity_as_minted_and_what_the_vault_granted(browser: Browser, run: Run):
    login = run.log_in()
    assert "Under way" in words(card(browser, run))
    run.tell(login, TOLD)
    seen = words(card(browser, run))
    for name, value in (
        ("iss", ISSUER),
        ("aud", ISSUER[:-1]),
        ("sub", run.tenant.id),
        ("organizationId", run.tenant.id),
        ("projectId", run.project.id),
        ("deploymentLogId", run.lease.run.deployment_id),
        ("credentialId", run.credential.id),
    ):
        assert f"{name} {value}" in seen, name
    for said in (
        "In use",
        "Policies default , app",
        "Lives 2 min 0 s , until ",
        "Renewed Never",
        f"Accessor {ACCESSOR}",
    ):
        assert said in seen, said
    assert re.search(r"jti [0-9a-f-]{36} kid \S{43} Not known here any more", seen)
    assert "Minted" in seen
    assert "expires" in seen


def test_a_renewal_moves_the_end_and_words_that_come_late_do_not_move_it_back(browser: Browser, run: Run):
    login = run.log_in()
    run.tell(login, TOLD)
    before = re.findall(r'data-until="([^"]+)"', card(browser, run))
    run.world.clock.advance(timedelta(seconds=5))
    run.tell(login, TOLD.model_copy(update={"renewals": 2, "left_seconds": 120}))
    after = card(browser, run)
    assert "Renewed 2 times" in words(after)
    assert re.findall(r'data-until="([^"]+)"', after) > before
    run.tell(login, TOLD.model_copy(update={"renewals": 1, "left_seconds": 9, "policies": ("root",)}))
    late = words(card(browser, run))
    assert "Renewed 2 times" in late
    assert "root" not in late


def test_a_token_that_was_revoked_says_when(browser: Browser, run: Run):
    login = run.log_in()
    run.tell(login, TOLD)
    run.finish(gone(login, LoginEnd.REVOKED, TOLD))
    ended = card(browser, run)
    assert re.search(r"Revoked \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", words(ended))
    assert "data-until" not in ended


def test_a_token_that_may_live_leads_to_what_is_outstanding(browser: Browser, run: Run):
    login = run.log_in()
    run.tell(login, TOLD)
    run.finish(gone(login, LoginEnd.FAILED, TOLD))
    ended = card(browser, run)
    assert "May still live" in words(ended)
    assert "The Vault could not be asked when the run ended." in words(ended)
    assert f'href="/console/organizations/{run.tenant.id}/outstanding"' in ended


def test_a_runner_of_an_earlier_version_reports_less_and_the_pass_says_so(browser: Browser, run: Run):
    run.tell(run.log_in())
    with run.world.database.write() as tx:
        tx.execute(update(metadata.tables["vault_logins"]).values(kid=None, claims=None))
    seen = words(card(browser, run))
    assert seen.count("Not reported: its runner is of an earlier version.") == 2
    assert "Not kept: it logged in before this server was upgraded." in seen
    assert "kid Not kept" in seen


def test_a_token_whose_key_was_killed_since_is_said_to_be_dead(browser: Browser, run: Run):
    run.tell(run.log_in(), TOLD)
    key = new_signing_key(run.world.clock.now(), state=KeyState.ACTIVE)
    with run.world.database.write() as tx:
        insert_key(tx, run.world.cipher, key)
        tx.execute(update(metadata.tables["vault_logins"]).values(kid=key.kid))
    assert "Dead:" not in words(card(browser, run))
    with run.world.database.write() as tx:
        tx.execute(update(metadata.tables["signing_keys"]).values(state=KeyState.COMPROMISED.value))
    assert "Dead: an operator killed this key since" in words(card(browser, run))


def test_several_logins_are_several_cards_and_the_identity_stands_there_once(browser: Browser, run: Run):
    for _ in range(21):
        run.log_in()
    text = card(browser, run)
    assert text.count("<article") == 20
    assert words(text).count("deploymentLogId") == 1
    assert "These are the last 20 logins." in words(text)


def test_who_may_not_see_credentials_sees_who_the_run_was_and_not_where_it_logged_in(browser: Browser, run: Run):
    run.tell(run.log_in(), TOLD)
    for role, sees in ((ProjectRole.DEPLOYER, False), (ProjectRole.ADMIN, True)):
        other = Browser(browser.client)
        other.sign_in(new_key(run.world, run.tenant.id, OrganizationRole.USER, {run.project.id: role}))
        seen = words(card(other, run))
        assert f"projectId {run.project.id}" in seen
        assert ("Policies" in seen) == sees
        assert ("https://vault.example.com" in seen) == sees
        assert ("VIEW_CREDENTIALS" in seen) == (not sees)
        assert ACCESSOR not in seen, "an accessor is for an organization's admin"


def test_no_claim_and_no_policy_does_more_than_be_read(browser: Browser, run: Run):
    run.tell(run.log_in(), TOLD.model_copy(update={"policies": (f"policy{EVIL}",)}))
    claims = '{"projectName": "<script>claim</script>", "list": {"<b>name</b>": 1}, "exp": 99, "<i>evil</i>": "x"}'
    names = ("credential_name", "address", "namespace", "mount", "role_name", "jti")
    values = {name: f"{name}{EVIL}"[:64] for name in names}
    with run.world.database.write() as tx:
        tx.execute(update(metadata.tables["vault_logins"]).values(claims=claims, **values))
    text = card(browser, run)
    for raw in ("<script>", "<b>name", "<i>evil", "4900140001", "\u202e", "\x1b", "\x07"):
        assert raw not in text, raw
    for word in ("policy", *names):
        assert f"{word}&lt;script&gt;" in text, word
    assert "&lt;script&gt;claim" in text
