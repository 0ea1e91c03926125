"""Waiting for Vaults before a key signs, as pure functions: the rotation's part, and what checks say of a Vault."""

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from factories import MovingClock
from runpass.ids import CredentialId, OrganizationId, PoolId, VaultTaskId
from runpass.protocol.credentials import CredentialKind
from runpass.protocol.key_checks import Refetched
from runpass.server.credentials.model import SealedValue, StoredCredential
from runpass.server.http.errors import HANDLERS
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.api import IssuerDocuments
from runpass.server.issuer.keys import KeyRecord, KeyState, new_key
from runpass.server.issuer.ring import KeyRing
from runpass.server.issuer.rotation import NOTHING, Policy, carried_out, decide, next_change, next_rotation
from runpass.server.vault_tasks.key_check_model import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Standing,
    StoredKeyCheck,
    confirmation,
    wants_check,
)
from runpass.server.vault_tasks.known_vaults import Keys, KnownVault, Place
from runpass.server.vault_tasks.model import TAKES, WAITS

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = Policy()
SECOND = timedelta(seconds=1)
ORGANIZATION, CREDENTIAL = OrganizationId(uuid4()), CredentialId(uuid4())
NAME = "x" * 32


def key(state: KeyState, **facts: Any) -> KeyRecord:
    common = {"created_at": NOW, "published_at": NOW, "longest_token": POLICY.longest_token}
    return KeyRecord(kid=state.value, algorithm="RS256", state=state, public_jwk={}, **(common | facts))


def keys(**upcoming: Any) -> list[KeyRecord]:
    active = key(KeyState.ACTIVE, activated_at=NOW - timedelta(days=1), rotation_wanted_at=NOW)
    return [active, key(KeyState.UPCOMING, **upcoming)]


def test_a_key_that_somebody_is_to_confirm_waits_for_that_up_to_the_limit():
    waiting = keys(confirmation_awaited=True)
    limit = NOW + POLICY.confirm_limit
    assert decide(waiting, limit - SECOND, POLICY) == NOTHING
    assert decide(waiting, limit, POLICY).activate == "upcoming"
    assert next_rotation(waiting, POLICY) == limit == next_change(waiting, POLICY)


def test_a_confirmation_ends_the_waiting_and_makes_nothing_earlier():
    confirmed = keys(confirmation_awaited=True, confirmed_at=NOW + SECOND)
    ahead = NOW + POLICY.publish_ahead
    assert decide(confirmed, ahead - SECOND, POLICY) == NOTHING
    assert decide(confirmed, ahead, POLICY).activate == "upcoming"


def test_where_nobody_is_waited_for_the_limit_changes_nothing():
    for policy in (POLICY, replace(POLICY, confirm_limit=timedelta(days=30))):
        assert next_rotation(keys(), policy) == NOW + POLICY.publish_ahead
    at_once = replace(POLICY, confirm_limit=timedelta(0))
    assert next_rotation(keys(confirmation_awaited=True), at_once) == NOW + POLICY.publish_ahead


def test_who_is_waited_for_is_decided_when_the_key_is_published():
    unpublished = keys(published_at=None)
    actions = decide(unpublished, NOW, POLICY)
    for awaited in (False, True):
        ((_, after),) = carried_out(unpublished, actions, NOW, POLICY, awaited=awaited)
        assert (after.published_at, after.confirmation_awaited) == (NOW, awaited)


@given(
    ahead=st.integers(2, 10_000),
    limit=st.integers(0, 10_000),
    confirmed=st.none() | st.integers(0, 10_000),
    waits=st.sampled_from(["nobody", "somebody"]),
)
def test_no_confirmation_and_no_limit_lets_a_key_sign_early_or_wait_for_ever(
    ahead: int, limit: int, confirmed: int | None, waits: str
):
    awaited = waits == "somebody"
    policy = replace(POLICY, publish_ahead=timedelta(seconds=ahead), confirm_limit=timedelta(seconds=limit))
    confirmed_at = None if confirmed is None else NOW + timedelta(seconds=confirmed)
    when = next_rotation(keys(confirmation_awaited=awaited, confirmed_at=confirmed_at), policy)
    assert when is not None
    assert NOW + policy.publish_ahead <= when <= NOW + max(policy.publish_ahead, policy.confirm_limit)
    if not awaited or confirmed is not None:
        assert when == NOW + policy.publish_ahead


def vault(verifier: str | None = NAME, **recorded: Any) -> KnownVault:
    place = Place("https://vault.example.com", "", "jwt")
    credential = StoredCredential(
        id=CREDENTIAL,
        organization_id=ORGANIZATION,
        project_id=None,
        name="vault",
        kind=CredentialKind.VAULT_OIDC,
        value=SealedValue({}),
        created_by="test",
        created_at=NOW,
        updated_at=NOW,
        recorded={"config": json.dumps(recorded)} if recorded else None,
    )
    return KnownVault(organization_id=ORGANIZATION, place=place, credentials=(credential,), verifier=verifier)


def check(**facts: Any) -> StoredKeyCheck:
    empty = dict.fromkeys(StoredKeyCheck.__dataclass_fields__)
    made = {"id": VaultTaskId(uuid4()), "pool_id": PoolId(uuid4()), "created_at": NOW, "verifier": NAME}
    return StoredKeyCheck(**(empty | made | {"place": vault().place} | facts))


def done(refetched: Refetched, **facts: Any) -> StoredKeyCheck:
    return check(taken_at=NOW, finished_at=NOW, reached=True, refetched=refetched, **facts)


def test_only_a_fetch_during_a_check_and_the_vaults_own_answer_together_are_a_confirmation():
    proof = done(Refetched.FETCHED, seen_at=NOW)
    found = confirmation(vault(), [done(Refetched.NOT_READ), proof, check()], NOW)
    assert (found.standing, found.seen_at, found.is_missing) == (Standing.SEEN, NOW, False)
    for half in (done(Refetched.FETCHED), done(Refetched.FETCH_FAILED, seen_at=NOW), check(seen_at=NOW)):
        found = confirmation(vault(), [half], NOW)
        assert (found.standing, found.is_missing) == (Standing.NOT_CONFIRMED, True)


@pytest.mark.parametrize("checks", [[], [done(Refetched.FETCHED)], [done(Refetched.FETCHED, seen_at=NOW)]])
def test_a_vault_on_the_shared_url_is_never_seen_and_never_waited_for(checks: list[StoredKeyCheck]):
    found = confirmation(vault(None, jwks_url="https://id.test/.well-known/jwks.json"), checks, NOW)
    assert (found.standing, found.is_missing) == (Standing.UNKNOWN, False)


def test_a_vault_with_pushed_keys_is_called_that():
    pushed = vault(None, jwt_validation_pubkeys=["pem"])
    for known, checks in ((pushed, []), (vault(None), [done(Refetched.PUSHED_KEYS)])):
        assert confirmation(known, checks, NOW).standing is Standing.PUSHED
    # What was recorded may be old: the Vault's own answer counts.
    assert confirmation(pushed, [done(Refetched.FETCHED)], NOW).standing is Standing.UNKNOWN
    assert confirmation(vault(), [done(Refetched.PUSHED_KEYS)], NOW).is_missing


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ([], "not checked yet"),
        ([check()], "no runner took the check"),
        ([check(taken_at=NOW)], "a runner is at it"),
        ([done(Refetched.FETCHED)], "not from its own URL"),
        ([done(Refetched.FETCH_FAILED)], "could not fetch the key set"),
        ([done(Refetched.ACCEPTED)], "tokens in that nobody signed"),
        ([done(Refetched.NOT_READ)], "refused the login before it fetched"),
        ([check(taken_at=NOW, finished_at=NOW, reached=False, refetched=Refetched.NOT_READ)], "no answer from it"),
        ([check(taken_at=NOW, finished_at=NOW, reached=False, said="it is gone")], "was not sent: it is gone"),
    ],
)
def test_it_is_said_why_a_vault_is_not_confirmed(checks: list[StoredKeyCheck], why: str):
    assert why in confirmation(vault(), checks, NOW).why


def test_a_check_that_was_not_taken_or_is_lost_is_named_so_in_the_end():
    assert confirmation(vault(), [check()], NOW + WAITS).why == "no runner took the check"
    lost = confirmation(vault(), [check(taken_at=NOW)], NOW + TAKES)
    assert lost.why == "the runner that took the check did not report"


def test_a_vault_is_checked_again_less_and_less_often_and_never_twice_at_once():
    assert wants_check([], NOW)
    assert not wants_check([check()], NOW + WAITS - SECOND)
    assert wants_check([check()], NOW + WAITS)
    failed = done(Refetched.NOT_READ)
    assert not wants_check([failed], NOW + FIRST_PAUSE - SECOND)
    assert wants_check([failed], NOW + FIRST_PAUSE)
    assert not wants_check([failed] * 2, NOW + FIRST_PAUSE)
    assert wants_check([failed] * 50, NOW + LONGEST_PAUSE)


def test_every_name_gets_the_same_keys_and_a_fetch_is_told_if_somebody_may_have_given_it_out():
    signing, told = new_key(MovingClock().now(), Algorithm.ES256), []
    documents = IssuerDocuments(KeyRing((signing,)), "https://id.test/", "x", on_fetch=lambda *one: told.append(one))
    client = TestClient(Starlette(routes=documents.routes(""), exception_handlers=HANDLERS))
    shared = client.get("/.well-known/jwks.json")
    for name in (NAME, secrets.token_urlsafe(24)):
        own = client.get(f"/.well-known/jwks/{name}.json")
        assert (own.content, own.headers["etag"]) == (shared.content, shared.headers["etag"])
        assert own.headers["cache-control"] == "no-store"  # whoever kept it would fetch for others
        unchanged = client.get(f"/.well-known/jwks/{name}.json", headers={"If-None-Match": own.headers["etag"]})
        assert unchanged.status_code == 304
        assert told == [(name, frozenset({signing.kid}))] * 2
        told.clear()
    client.head(f"/.well-known/jwks/{NAME}.json")
    for made_up in ("short", "x" * 65, "x" * 31 + "!"):
        assert client.get(f"/.well-known/jwks/{made_up}.json").content == shared.content
    assert told == []
    for elsewhere in (f"{NAME}/x", "../" * 10):
        assert client.get(f"/.well-known/jwks/{elsewhere}.json").status_code == 404


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ('{"jwks_url": "x"}', Keys.SHARED_URL),
        ('{"jwt_validation_pubkeys": ["x"]}', Keys.PUSHED),
        ("{}", Keys.UNKNOWN),
        ("[" * 100_000, Keys.UNKNOWN),
        ("7", Keys.UNKNOWN),
        ("not json", Keys.UNKNOWN),
    ],
)
def test_what_was_recorded_of_a_vault_is_read_and_believed_in_nothing_else(config: str, keys: Keys):
    known = vault(None)
    recorded = replace(known.credentials[0], recorded={"config": config})
    assert replace(known, credentials=(recorded,)).keys is keys
