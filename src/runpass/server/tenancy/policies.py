"""What the policies of an organization and of the projects on a path come to for what is in them. All pure.

A policy further down can only add to those above it: approval that one of them asks for is asked for, what one of them
forbids is forbidden, and of several limits the shortest counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from runpass.server.tenancy.lifetimes import INHERIT, parse_lifetime, shortest
from runpass.server.tenancy.model import Organization, Project


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force at one place."""

    requires_approval: bool
    destroy_disabled: bool
    max_ttl: timedelta | None
    """None: environments may live for ever."""
    default_ttl: timedelta | None
    """For an environment whose request names no lifetime; never longer than `max_ttl`."""


def policy_of(organization: Organization, projects_of_path: Iterable[Project]) -> Policy:
    """Give what is in force in the last of these projects, which stand in order from the root down."""
    own = [project.policies for project in projects_of_path]
    places = [organization.policies, *own]
    longest = shortest(_lifetime(place, "max_ttl") for place in places)
    return Policy(
        requires_approval=bool(organization.policies.get("requires_approval"))
        or any(place.get("requires_approval_default") for place in own),
        destroy_disabled=any(place.get("disable_destroy_environments") for place in own),
        max_ttl=longest,
        default_ttl=shortest((_nearest_default(places), longest)),
    )


def loosens(before: Policy, after: Policy) -> bool:
    """Whether something is allowed under `after` that was not under `before`."""
    lives_longer = before.max_ttl is not None and (after.max_ttl is None or after.max_ttl > before.max_ttl)
    no_approval = before.requires_approval and not after.requires_approval
    return no_approval or (before.destroy_disabled and not after.destroy_disabled) or lives_longer


def _nearest_default(places: Iterable[Mapping[str, Any]]) -> timedelta | None:
    said = [place for place in places if place.get("default_ttl", INHERIT) != INHERIT]
    return _lifetime(said[-1], "default_ttl") if said else None


def _lifetime(place: Mapping[str, Any], name: str) -> timedelta | None:
    text = place.get(name)
    return None if text is None or text == INHERIT else parse_lifetime(text)
