"""Lifetimes, and what the policies of an organization and its projects come to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runpass.ids import OrganizationId, ProjectId, new_id
from runpass.server.tenancy.lifetimes import INHERIT, exceeds, parse_lifetime, shortest
from runpass.server.tenancy.model import Organization, Project
from runpass.server.tenancy.policies import Policy, policy_of
from runpass.server.tenancy.visibility import tops

AT = datetime(2026, 1, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def organization(**policies: Any) -> Organization:
    return Organization(
        id=OrganizationId(new_id()),
        name="acme",
        description="",
        oidc_sub="acme",
        enable_oidc=False,
        allow_clear_text_vault=False,
        policies=policies,
        created_by="test",
        created_at=AT,
        updated_at=AT,
    )


def project(**policies: Any) -> Project:
    return Project(
        id=ProjectId(new_id()),
        organization_id=OrganizationId(new_id()),
        parent_project_id=None,
        name="project",
        description="",
        tags=(),
        is_archived=False,
        created_by="test",
        created_at=AT,
        updated_at=AT,
        policies=policies,
    )


def in_force(**changes: Any) -> Policy:
    nothing = {"requires_approval": False, "destroy_disabled": False, "max_ttl": None, "default_ttl": None}
    return Policy(**(nothing | changes))


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [("12-h", 12 * HOUR), ("3-d", 3 * DAY), ("1-w", 7 * DAY), ("2-M", 60 * DAY), ("9999-M", 9999 * 30 * DAY)],
)
def test_a_lifetime_is_a_number_and_a_unit(text: str, lifetime: timedelta):
    assert parse_lifetime(text) == lifetime


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "0-h", "-1-h", "1-m", "1-H", "01-h", "1-h\n", "1.5-h", "10000-h", "٣-h"]
)
def test_anything_else_is_no_lifetime(text: str):
    with pytest.raises(ValueError, match="must be a number from 1 to 9999"):
        parse_lifetime(text)


def test_the_shortest_limit_counts_and_no_limit_limits_nothing():
    assert shortest([None, DAY, HOUR]) == HOUR
    assert shortest([None, None]) is None


@pytest.mark.parametrize(
    ("default", "longest", "too_long"),
    [
        ("2-h", "1-h", True),
        ("60-d", "1-M", True),
        ("7-d", "1-w", False),
        ("1-h", None, False),
        (None, "1-h", False),
        (INHERIT, "1-h", False),
        ("1-h", INHERIT, False),
    ],
)
def test_a_default_is_compared_with_the_longest_lifetime(default: str | None, longest: str | None, *, too_long: bool):
    assert exceeds(default, longest) is too_long


def test_without_policies_nothing_is_asked_and_nothing_limited():
    assert policy_of(organization(), [project(), project()]) == in_force()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_approval_that_one_place_asks_for_is_asked_for_below_it(place: int):
    path = [project(requires_approval_default=place == 1), project(requires_approval_default=place == 2)]
    assert policy_of(organization(requires_approval=place == 0), path).requires_approval


def test_a_project_cannot_take_an_approval_or_a_limit_away():
    strict = organization(requires_approval=True, max_ttl="1-h", default_ttl="1-h")
    generous = project(
        requires_approval_default=False, disable_destroy_environments=False, max_ttl=None, default_ttl=None
    )
    path = [project(disable_destroy_environments=True), generous]
    assert policy_of(strict, path) == in_force(
        requires_approval=True, destroy_disabled=True, max_ttl=HOUR, default_ttl=HOUR
    )


def test_the_default_of_the_nearest_place_counts_but_never_beyond_the_longest_lifetime():
    above = organization(max_ttl="2-d", default_ttl="1-d")
    assert policy_of(above, [project(default_ttl=INHERIT, max_ttl=INHERIT)]).default_ttl == DAY
    assert policy_of(above, [project(default_ttl="2-h"), project()]).default_ttl == 2 * HOUR
    assert policy_of(above, [project(default_ttl="2-h"), project(default_ttl="1-w")]).default_ttl == 2 * DAY
    assert policy_of(above, [project(default_ttl=None, max_ttl="1-h")]).default_ttl == HOUR


def test_of_places_that_stand_below_each_other_the_highest_is_enough():
    assert tops(["a", "a|b", "a|b|c", "b", "c|d", "c|d|e"]) == ["a", "b", "c|d"]
