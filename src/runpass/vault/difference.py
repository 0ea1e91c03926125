"""How what exists in a Vault differs from what should: the changes, and the conflicts that stop them. Pure.

Values are compared as the Vault would read them back (`runpass.vault.normal`), so that an unchanged Vault shows no
difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from runpass.vault import desired
from runpass.vault.desired import DesiredState, KvMount, Policy, Request, Role
from runpass.vault.errors import SetupConflict, visible
from runpass.vault.key_sources import OF_A_SOURCE, others
from runpass.vault.normal import normal

JWT_TYPES = frozenset({"jwt", "oidc"})
"""One plugin, two names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualState:
    """What was found in a Vault, in Vault's own words; None stands for what is not there."""

    missing_namespaces: tuple[str, ...] = ()
    auth_type: str | None = None
    auth_tuning: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    kv: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """By namespace and path."""
    policies: Mapping[str, str] = field(default_factory=dict)
    policy_versions: Mapping[str, int] = field(default_factory=dict)
    """Where the server counts them (OpenBao does), so that a write can say which version it replaces."""
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One write that brings a Vault closer to the desired state. `seen` is what it replaces, None: nothing."""

    action: Literal["create", "update"]
    subject: str
    request: Request
    parameters: tuple[str, ...] = ()
    """What differs, by name: of an update of parameters alone."""
    seen: Mapping[str, Any] | None = None
    cas: int | None = None
    """The version of a policy that is replaced; -1: there must be none."""

    def __str__(self) -> str:
        which = f" ({', '.join(self.parameters)})" if self.parameters else ""
        return f"{self.action} {self.subject}{which}"


def difference(state: DesiredState, actual: ActualState, *, take_over: bool = False) -> tuple[Change, ...]:
    """Give the changes that are needed, in an order that works; none when everything is as it should be.

    Raises `SetupConflict` when something else stands in the place; `take_over` lets it replace the config of an auth
    mount that trusts another issuer.
    """
    changes: list[Change | None] = [*_namespaces(state, actual)]
    changes.append(_auth(state, actual))
    changes.append(_config(state, actual, take_over=take_over))
    changes += [_kv(state, kv, actual) for kv in state.kv_mounts]
    changes += [_policy(state, policy, actual) for policy in state.policies]
    changes += [_role(state, role, actual, take_over=take_over) for role in state.roles]
    return tuple(change for change in changes if change is not None)


def _namespaces(state: DesiredState, actual: ActualState) -> list[Change]:
    found = []
    for request in desired.namespace_requests(*desired.namespaces(state)):
        name = request.path.removeprefix("sys/namespaces/")
        full = f"{request.namespace}/{name}".strip("/")
        if full in actual.missing_namespaces:
            found.append(Change("create", f"namespace {full}", request))
    return found


def _auth(state: DesiredState, actual: ActualState) -> Change | None:
    subject = f"auth method {state.auth.path}"
    if actual.auth_type is None:
        return Change("create", subject, desired.enabling(state))
    if actual.auth_type not in JWT_TYPES:
        raise SetupConflict(
            f"at auth/{state.auth.path} there is an auth method of type {visible(actual.auth_type, 64)}, not jwt",
            hint="Choose another auth mount path.",
        )
    wanted = state.auth.token_type
    if wanted is None or actual.auth_tuning.get("token_type") == wanted:
        return None
    return Change("update", subject, desired.tuning(state), ("token_type",), actual.auth_tuning)


def _config(state: DesiredState, actual: ActualState, *, take_over: bool) -> Change | None:
    request = desired.config_request(state)
    subject = f"config of auth method {state.auth.path}"
    if actual.config is None:
        return Change("create", subject, request)
    extra = others(state.auth.config.keys, actual.config)
    differing = (*differing_parameters(request.data, actual.config), *extra)
    if not differing:
        return None
    if not take_over:
        _refuse_foreign(state, actual.config)
    # A config write replaces everything: what is not ours is written back as it was.
    dropped = (OF_A_SOURCE | {"status"}) - {state.auth.config.keys.ca_parameter}
    kept = {name: value for name, value in actual.config.items() if value and name not in dropped}
    whole = Request("POST", request.path, {**kept, **request.data}, request.namespace)
    return Change("update", subject, whole, differing, actual.config)


def _refuse_foreign(state: DesiredState, config: Mapping[str, Any]) -> None:
    wanted = state.auth.config
    path = f"auth/{state.auth.path}"
    if extra := others(wanted.keys, config):
        if config.get("bound_issuer") == wanted.bound_issuer:
            raise SetupConflict(
                f"{path} takes this issuer's keys another way: {extra[0]}",
                hint=f"--take-over replaces it with {wanted.keys.parameter}; or declare the way that is there.",
            )
        raise _trusts(path, config.get("bound_issuer") or extra[0])
    mine = wanted.keys.parameters()[wanted.keys.parameter]
    name = wanted.keys.parameter
    if normal(name, config.get(name)) != normal(name, mine) and config.get("bound_issuer") != wanted.bound_issuer:
        raise _trusts(path, config.get("bound_issuer") or config.get(name) or name)


def _trusts(path: str, who: object) -> SetupConflict:
    return SetupConflict(
        f"{path} trusts somebody else already: {visible(str(who), 255)}",
        hint="Choose another auth mount path: replacing this config would lock out whoever logs in with it."
        " Where that is this organization's issuer of before, --take-over replaces it.",
    )


def _kv(state: DesiredState, kv: KvMount, actual: ActualState) -> Change | None:
    request = desired.kv_request(state, kv)
    found = actual.kv.get((request.namespace, kv.path))
    if found is None:
        return Change("create", f"KV engine {kv.path}", request)
    kind = found.get("type")
    version = (found.get("options") or {}).get("version") or "1"
    if kind != "kv" or str(version) != str(kv.version):
        is_now = f"version {visible(str(version), 16)} of kv" if kind == "kv" else _of_type(kind)
        raise SetupConflict(
            f"at {kv.path}/ there is {is_now}, not version {kv.version} of kv",
            hint="Choose another KV path, or say the version that is there.",
        )
    return None


def _of_type(kind: object) -> str:
    return f"an engine of type {visible(str(kind), 64)}"


def _policy(state: DesiredState, policy: Policy, actual: ActualState) -> Change | None:
    text = actual.policies.get(policy.name)
    if text == policy.text:
        return None
    subject, request = f"policy {policy.name}", desired.policy_request(state, policy)
    if text is None:
        return Change("create", subject, request, cas=-1)
    version = actual.policy_versions.get(policy.name)
    return Change("update", subject, request, seen={"policy": text}, cas=version)


def _role(state: DesiredState, role: Role, actual: ActualState, *, take_over: bool) -> Change | None:
    request = desired.role_request(state, role)
    found = actual.roles.get(role.name)
    if found is None:
        return Change("create", f"role {role.name}", request)
    differing = differing_parameters(request.data, found)
    if differing and role.name == desired.SWEEPER and not take_over:
        _refuse_other_sweeper(role, found)
    return Change("update", f"role {role.name}", request, differing, found) if differing else None


def _refuse_other_sweeper(role: Role, found: Mapping[str, Any]) -> None:
    claims = found.get("bound_claims")
    theirs = claims.get("organizationId") if isinstance(claims, dict) else None
    if theirs and normal("bound_claims", {"": theirs}) != normal(
        "bound_claims", {"": role.bound_claims["organizationId"]}
    ):
        raise SetupConflict(
            f"the role {role.name} is another organization's",
            hint="Use an auth method for each organization, or --no-sweeper (a file: [sweeper] enabled = false).",
        )


def differing_parameters(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the names of what is wanted and is not found so."""
    return tuple(name for name, value in wanted.items() if normal(name, value) != normal(name, found.get(name)))
