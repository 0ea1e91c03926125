"""Whether a token of a login may still live: one rule, and what must hold of it whatever is known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.ids import new_id
from runpass.protocol.sweeps import SweepResult
from runpass.protocol.vault_logins import LoginEnd
from runpass.server.deployments.login_model import Given, Standing, StoredLogin

START = datetime(2026, 1, 2, tzinfo=UTC)
TTL = timedelta(seconds=120)


def seconds(value: int) -> timedelta:
    return timedelta(seconds=value)


def login(**changes: Any) -> StoredLogin:
    ids = ("organization_id", "project_id", "environment_id", "pool_id", "deployment_id", "run_lease_id")
    texts = ("credential_name", "address", "namespace", "mount", "role_name", "jti")
    fields = {name: new_id() for name in ("id", "credential_id", *ids)} | dict.fromkeys(texts, "text")
    return StoredLogin(**{**fields, "intended_at": START, "first_ttl": TTL, **changes})


def token(**changes: Any) -> dict[str, Any]:
    fields = {"accessor_sealed": b"sealed", "ttl": TTL, "renewable": True, "reported_at": START, **changes}
    return {"gave_token": True, "given": Given(**fields)}


ENDED = START + seconds(1_000)
CASES: dict[str, tuple[StoredLogin, Standing, datetime | None]] = {
    "the run goes on": (login(**token()), Standing.IN_USE, None),
    "renewed until the end": (login(**token(), lease_ended_at=ENDED), Standing.OUTSTANDING, ENDED + TTL),
    "not renewable": (login(**token(renewable=False), lease_ended_at=START + seconds(5)), Standing.OUTSTANDING, None),
    "does not expire": (login(**token(ttl=seconds(0)), lease_ended_at=ENDED), Standing.OUTSTANDING, None),
    "nobody said": (login(lease_ended_at=ENDED), Standing.UNKNOWN, ENDED + TTL),
    "nobody said or knows": (login(first_ttl=None, lease_ended_at=ENDED), Standing.UNKNOWN, None),
    "another's token": (
        login(**token(), lease_ended_at=ENDED, swept=SweepResult.NOT_OURS, first_ttl=None),
        Standing.UNKNOWN,
        None,
    ),
    "not verifiable": (
        login(**token(), lease_ended_at=ENDED, swept=SweepResult.NOT_VERIFIABLE),
        Standing.OUTSTANDING,
        ENDED + TTL,
    ),
    "no token": (login(gave_token=False), Standing.SETTLED, None),
    "swept": (login(**token(), lease_ended_at=ENDED, swept=SweepResult.REVOKED), Standing.SETTLED, None),
    "already gone": (login(**token(), lease_ended_at=ENDED, ended=LoginEnd.ALREADY_GONE), Standing.SETTLED, None),
}


@pytest.mark.parametrize("name", CASES)
def test_each_case_stands_as_it_should(name: str):
    found, standing, until = CASES[name]
    at = found.lease_ended_at or START
    assert found.standing(at) is standing
    if until is not None:
        assert found.until == until
        assert found.standing(until - seconds(1)) is standing
        assert found.standing(until) is Standing.SETTLED


def test_a_token_that_was_not_renewed_ends_its_ttl_after_it_was_reported():
    found = login(**token(renewable=False), lease_ended_at=ENDED)
    assert found.until == START + TTL
    assert found.standing(ENDED) is Standing.SETTLED


durations = st.integers(min_value=0, max_value=100_000).map(seconds)
logins = st.builds(
    lambda first, gave, ttl, renewable, ended, swept, over: login(
        first_ttl=first,
        **(token(ttl=ttl, renewable=renewable) if gave else {"gave_token": gave}),
        ended=ended,
        swept=swept,
        lease_ended_at=over,
    ),
    st.none() | durations,
    st.sampled_from([None, False, True]),
    durations,
    st.booleans(),
    st.none() | st.sampled_from(LoginEnd),
    st.none() | st.sampled_from(SweepResult),
    st.none() | durations.map(lambda after: START + after),
)


@given(logins, durations, durations)
def test_what_is_settled_stays_settled(found: StoredLogin, sooner: timedelta, later: timedelta):
    if found.standing(START + sooner) is Standing.SETTLED:
        assert found.standing(START + sooner + later) is Standing.SETTLED


@given(logins, durations)
def test_nothing_is_settled_while_a_token_of_it_may_live(found: StoredLogin, after: timedelta):
    """Without word of its end, only the time that is known to be enough settles a login."""
    open_ended = replace(found, ended=None, swept=None)
    if open_ended.gave_token is False:
        return
    if open_ended.lease_ended_at is None:
        assert open_ended.standing(START + after) is Standing.IN_USE
        return
    ttl = open_ended.given.ttl if open_ended.given else open_ended.first_ttl
    last = START if open_ended.given and not open_ended.given.renewable else open_ended.lease_ended_at
    knows = ttl is not None and (ttl or open_ended.given is None)
    expected = bool(knows) and ttl is not None and last + ttl <= START + after
    assert (open_ended.standing(START + after) is Standing.SETTLED) == expected


@given(logins)
def test_only_a_token_with_an_accessor_is_swept_and_never_after_an_alarm(found: StoredLogin):
    if found.can_be_swept:
        assert found.given is not None
        assert found.given.accessor_sealed
        assert found.swept in {None, SweepResult.FAILED}
