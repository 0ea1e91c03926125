"""Whether a role admits tokens with certain claims, before there is any token. Pure.

The signature, the times and the method's config are left out: they do not change with what tokens say.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runpass.secret import Secret
from runpass.vault.explain import bindings, registered, token
from runpass.vault.explain.facts import Parameters
from runpass.vault.explain.model import Check, Granted, LoginCase

MOST_ENTRIES: Final = 100
"""Of each list or map of a role that is looked at here: the time it takes grows with their square."""
_MOST: Final = 2**63


class NotLookedAt(ValueError):
    """The role is none that a Vault would give; `str()` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a role says to such tokens."""

    refused: tuple[Check, ...]
    """Every check that fails."""
    undecided: tuple[str, ...]
    """The bound claims whose values differ from run to run."""
    granted: Granted | None
    """What their Vault tokens are, unless a check fails."""

    @property
    def admits(self) -> bool | None:
        """Whether all such tokens get in; None where it depends on the run."""
        if self.refused:
            return False
        return None if self.undecided else True


def admission(
    role_name: str, role: Mapping[str, Any], claims: Mapping[str, Any], varying: Collection[str]
) -> Admission:
    """Give what a role says to tokens with these claims, of which the `varying` ones differ from run to run.

    `role` is the `data` of a read of the role. Raises `NotLookedAt` for one that no Vault gives.
    """
    _check(role)
    wanted = Parameters(role).mapping("bound_claims")
    undecided = tuple(name for name in wanted if _claim(name) in varying)
    decided = {name: value for name, value in wanted.items() if name not in undecided}
    case = LoginCase(
        role_name=role_name, role={**role, "bound_claims": decided}, config={}, jwks=None, token=Secret(""), at=0
    )
    checks = [*token.subject_and_audience(case, registered.read(claims)), *bindings.checks(case, claims)]
    if Parameters(role).text("role_type") == "oidc":
        checks.insert(0, Check(name="role type", passed=False, expected="jwt", received="oidc"))
    refused = tuple(check for check in checks if check.passed is False)
    granted = None if refused else bindings.granted(case, claims)
    return Admission(refused=refused, undecided=undecided, granted=granted)


def _claim(key: str) -> str:
    """Give the claim that a key of `bound_claims` looks into: its name, or the first part of a JSON pointer."""
    return key.split("/")[1].replace("~1", "/").replace("~0", "~") if key.startswith("/") else key


def _check(role: Mapping[str, Any]) -> None:
    try:
        large = any(_entries(value) > MOST_ENTRIES for value in role.values())
    except RecursionError:
        large = True
    if large:
        raise NotLookedAt(f"the role has a parameter with more than {MOST_ENTRIES} entries")


def _entries(value: Any) -> int:
    """Count the entries of lists and maps. Raises `NotLookedAt` for what no Vault gives in a role."""
    match value:
        case Mapping():
            return sum(1 + _entries(key) + _entries(item) for key, item in value.items())
        case list():
            return sum(1 + _entries(item) for item in value)
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            raise NotLookedAt("the role holds half of a surrogate pair")
        case int() | float() if not -_MOST < value < _MOST:
            raise NotLookedAt("the role holds a number of more than 64 bits")
    return 0
