"""What is said of logins that are outstanding: always why and what to do, and never that there are 0 of them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.ids import new_id
from runpass.protocol.sweeps import SweepResult
from runpass.protocol.vault_logins import LoginEnd
from runpass.server.deployments.login_model import Given, StoredLogin
from runpass.server.deployments.outstanding import Outstanding
from runpass.server.deployments.outstanding_words import summary, words
from runpass.server.deployments.token_store import HeldToken

START = datetime(2026, 1, 2, tzinfo=UTC)
TTL = timedelta(minutes=2)
SERVICE = Given(accessor_sealed=b"sealed", ttl=TTL, renewable=True, reported_at=START)
BATCH = Given(accessor_sealed=None, ttl=TTL, renewable=False, reported_at=START)
ENDLESS = Given(accessor_sealed=None, ttl=timedelta(0), renewable=False, reported_at=START)


def login(**changes: Any) -> StoredLogin:
    ids = ("organization_id", "project_id", "environment_id", "pool_id", "deployment_id", "run_lease_id")
    texts = ("credential_name", "address", "namespace", "mount", "role_name", "jti")
    fields = {name: new_id() for name in ("id", "credential_id", *ids)} | dict.fromkeys(texts, "text")
    changes = {"gave_token": changes.get("given") is not None or None, **changes}
    return StoredLogin(**{**fields, "intended_at": START, "first_ttl": TTL, "lease_ended_at": START, **changes})


TOKEN = HeldToken(new_id(), new_id(), new_id(), "jti", "audience", START, START)  # type: ignore[arg-type]

CASES: dict[str, tuple[StoredLogin, str, str]] = {
    "lost": (login(given=SERVICE), "runner was lost", "a runner of the pool is sent"),
    "failed": (login(given=SERVICE, ended=LoginEnd.FAILED), "could not be asked", "a runner of the pool is sent"),
    "not allowed": (login(given=SERVICE, ended=LoginEnd.NOT_ALLOWED), "No policy", "a runner of the pool is sent"),
    "a batch token": (login(given=BATCH, ended=LoginEnd.NOT_REVOCABLE), "batch token", "ends by itself"),
    "for ever": (login(given=ENDLESS), "batch token", "does not end by itself"),
    "silent": (login(), "without a word", "if it gave a token"),
    "silent, unknown role": (login(first_ttl=None), "without a word", "`runpass vault apply`"),
    "swept in vain": (login(given=SERVICE, swept=SweepResult.FAILED, sweeps=3), "sent 3 times", "tried again"),
    "swept in vain, with a hint": (
        login(given=SERVICE, swept=SweepResult.FAILED, sweeps=1, sweep_hint="do this"),
        "sent once",
        "do this",
    ),
    "not verifiable": (login(given=SERVICE, swept=SweepResult.NOT_VERIFIABLE), "left it alone", "vault apply"),
    "not ours": (login(given=SERVICE, swept=SweepResult.NOT_OURS), "Alarm", "audit trail"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_login_is_listed_with_why_and_with_what_to_do(name: str):
    stored, why, step = CASES[name]
    found = words(stored)
    assert why in found.why
    assert step in found.next_step
    assert found.is_alarm == (name == "not ours")


@given(
    given=st.sampled_from([None, SERVICE, BATCH, ENDLESS]),
    ended=st.none() | st.sampled_from(LoginEnd),
    swept=st.none() | st.sampled_from(SweepResult),
    first_ttl=st.sampled_from([None, TTL]),
)
def test_there_are_words_for_every_login(
    given: Given | None, ended: LoginEnd | None, swept: SweepResult | None, first_ttl: timedelta | None
):
    found = words(login(given=given, ended=ended, swept=swept, sweeps=1, first_ttl=first_ttl))
    assert found.why.endswith(".")
    assert found.next_step.endswith(".")
    assert found.why.count("`") % 2 == found.next_step.count("`") % 2 == 0


@given(known=st.integers(0, 3), unknown=st.integers(0, 3), in_use=st.integers(0, 3), held=st.integers(0, 3))
@pytest.mark.parametrize("is_complete", [True, False])
def test_no_summary_says_zero_and_none_never_stands_alone(
    known: int, unknown: int, in_use: int, held: int, *, is_complete: bool
):
    found = summary(Outstanding([login()] * known, [login()] * unknown, in_use, [TOKEN] * held, is_complete))
    for text in (found.known, found.unknown, found.identity_tokens, found.in_use):
        assert not re.search(r"\b0\b", text)
        assert is_complete or not re.match(r"[1-9]", text), "a number that is not all of them says so"
    if not known and unknown:
        assert "this does not say that there is none" in found.known
    if not known and not is_complete and not unknown:
        assert "accounted for" not in found.known
