"""What the policies of an organization and of the projects on a path come to for what is in them. All pure.

A policy further down can only add to those above it: approval that one of them asks for is asked for, what one of them
forbids is forbidden, and of several limits the shortest counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from runpass.errors import InvalidInput
from runpass.server.tenancy.lifetimes import INHERIT, exceeds, parse_lifetime, shortest
from runpass.server.tenancy.model import Organization, Project

OWN_COLUMNS = frozenset({"enable_oidc", "allow_clear_text_vault"})
"""Policies of an organization that stand beside the others, in columns of their own."""
_CLEARABLE = frozenset(
    {"max_ttl", "default_ttl", "allowed_identity_audiences", "identity_subject", "identity_aws_transitive_tags"}
)


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


def decided(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Give the policies of an organization that a request decides: null takes a limit away, and no other policy."""
    return {name: value for name, value in sent.items() if value is not None or name in _CLEARABLE}


def changed_columns(organization: Organization, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Give the columns of an organization whose policies are changed so, the others as they are.

    Raises `InvalidInput` where an environment would by default live longer than it may.
    """
    policies = {**organization.policies, **{k: v for k, v in wanted.items() if k not in OWN_COLUMNS}}
    check_default(policies)
    return {**{k: v for k, v in wanted.items() if k in OWN_COLUMNS}, "policies": policies}


def check_default(policies: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` if the default lifetime of these policies is longer than their longest."""
    if exceeds(policies.get("default_ttl"), policies.get("max_ttl")):
        raise InvalidInput.of("defaultTtl", "must not be longer than maxTtl")


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
