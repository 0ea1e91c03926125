"""How long an environment lives: what requests say and what policies allow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from runpass.errors import InvalidInput
from runpass.server.environments.lifespans import MOST_HOURS, Ttl, lifespan_end
from runpass.server.tenancy.policies import Policy

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def policy(longest: timedelta | None = None, default: timedelta | None = None) -> Policy:
    return Policy(requires_approval=False, destroy_disabled=False, max_ttl=longest, default_ttl=default)


def ttl(kind: str, value: str | None = None) -> Ttl:
    return Ttl.model_validate({"type": kind, "value": value})


def test_hours_count_from_now():
    assert lifespan_end(ttl("HOURS", "36"), policy(), NOW) == NOW + timedelta(hours=36)


def test_infinite_has_no_end():
    assert lifespan_end(ttl("INFINITE"), policy(), NOW) is None


@pytest.mark.parametrize(
    ("value", "end"),
    [
        ("2026-02-01T00:00:00Z", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-02-01T01:00:00+01:00", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-02-01", datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_date_is_in_its_zone_or_in_utc(value: str, end: datetime):
    assert lifespan_end(ttl("DATE", value), policy(), NOW) == end


def test_what_is_not_said_is_the_policys_default():
    assert lifespan_end(None, policy(), NOW) is None
    assert lifespan_end(None, policy(default=timedelta(days=1)), NOW) == NOW + timedelta(days=1)
    assert lifespan_end(ttl("INFINITE"), policy(default=timedelta(days=1)), NOW) is None


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        ("INFINITE", None, "ttl.type"),
        ("HOURS", "25", "ttl.value"),
        ("DATE", "2026-01-03T03:04:06Z", "ttl.value"),
    ],
)
def test_what_is_longer_than_the_policy_allows_is_refused_with_the_limit(kind: str, value: str | None, field: str):
    with pytest.raises(InvalidInput) as refused:
        lifespan_end(ttl(kind, value), policy(longest=timedelta(days=1)), NOW)
    assert [item.field for item in refused.value.errors] == [field]
    assert "24 hours" in refused.value.message


def test_exactly_the_limit_is_allowed():
    day = timedelta(days=1)
    assert lifespan_end(ttl("HOURS", "24"), policy(longest=day), NOW) == NOW + day


def test_a_date_in_the_past_is_refused():
    with pytest.raises(InvalidInput, match="future"):
        lifespan_end(ttl("DATE", "2025-01-01"), policy(), NOW)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("HOURS", None),
        ("HOURS", ""),
        ("HOURS", "0"),
        ("HOURS", "-1"),
        ("HOURS", "1.5"),
        ("HOURS", "\uff11"),
        ("HOURS", "9" * 400),
        ("HOURS", str(MOST_HOURS + 1)),
        ("DATE", None),
        ("DATE", "tomorrow"),
        ("DATE", "9999-12-31T23:59:59-23:00"),
        ("DATE", "0001-01-01T00:00:00+23:00"),
        ("DATE", "2201-01-01"),
        ("WEEKS", "1"),
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_it(kind: str, value: Any):
    with pytest.raises(ValidationError) as refused:
        ttl(kind, value)
    assert "tomorrow" not in str(refused.value.errors(include_input=False, include_context=False))
