"""How what exists in a Vault differs from what should: the changes, and the conflicts that stop them. Pure.

Values are compared as the Vault would read them back (null, empty list and empty map are the same; lists that are
sets have no order; policies of tokens are lower case), so that an unchanged Vault shows no difference.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from runpass.vault.desired import (
    DesiredState,
    Policy,
    Request,
    Role,
    config_path,
    policy_path,
    requests,
    role_path,
)
from runpass.vault.errors import SetupConflict, visible

OTHER_KEY_SOURCES: Final = ("oidc_discovery_url", "jwt_validation_pubkeys", "jwks_pairs", "provider_config")
NOT_CARRIED: Final = frozenset({"status", "oidc_discovery_ca_pem", "oidc_client_id", *OTHER_KEY_SOURCES})
"""Of a config that is replaced as a whole: computed, or part of another key source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualState:
    """What was found in a Vault, in Vault's own words; None stands for what is not there."""

    missing_namespaces: tuple[str, ...] = ()
    auth_type: str | None = None
    config: Mapping[str, Any] | None = None
    kv: Mapping[str, Any] | None = None
    policies: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One write that brings a Vault closer to the desired state. `parameters` names what differs, never a value."""

    action: Literal["create", "update"]
    subject: str
    request: Request
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        which = f" ({', '.join(self.parameters)})" if self.parameters else ""
        return f"{self.action} {self.subject}{which}"


def difference(state: DesiredState, actual: ActualState, *, take_over: bool = False) -> tuple[Change, ...]:
    """Give the changes that are needed, in an order that works; none when everything is as it should be.

    Raises `SetupConflict` when something else stands in the place; `take_over` lets it replace the config of an auth
    mount that trusts another issuer.
    """
    by_path = {request.path: request for request in requests(state) if request.namespace == state.namespace}
    changes: list[Change | None] = [*_namespaces(state, actual)]
    changes.append(_auth(state, actual, by_path))
    changes.append(_config(state, actual, by_path, take_over=take_over))
    changes.append(_kv(state, actual, by_path))
    changes += [_policy(policy, actual, by_path) for policy in state.policies]
    changes += [_role(state, role, actual, by_path) for role in state.roles]
    return tuple(change for change in changes if change is not None)


def _namespaces(state: DesiredState, actual: ActualState) -> list[Change]:
    found = []
    for request in requests(state):
        name = request.path.removeprefix("sys/namespaces/")
        full = f"{request.namespace}/{name}".strip("/")
        if request.path.startswith("sys/namespaces/") and full in actual.missing_namespaces:
            found.append(Change("create", f"namespace {full}", request))
    return found


def _auth(state: DesiredState, actual: ActualState, by_path: Mapping[str, Request]) -> Change | None:
    path = state.auth.path
    if actual.auth_type is None:
        return Change("create", f"auth method {path}", by_path[f"sys/auth/{path}"])
    if actual.auth_type not in {"jwt", "oidc"}:  # one plugin, two names
        raise SetupConflict(
            f"at auth/{path} there is an auth method of type {visible(actual.auth_type, 64)}, not jwt",
            hint="Choose another auth mount path.",
        )
    return None


def _config(
    state: DesiredState, actual: ActualState, by_path: Mapping[str, Request], *, take_over: bool
) -> Change | None:
    request = by_path[config_path(state)]
    subject = f"config of auth method {state.auth.path}"
    if actual.config is None:
        return Change("create", subject, request)
    differing = _differing(request.data, actual.config)
    if not differing:
        return None
    if not take_over:
        _refuse_foreign(state, actual.config)
    # A config write replaces everything: what is not ours is written back as it was.
    kept = {name: value for name, value in actual.config.items() if value and name not in NOT_CARRIED}
    whole = Request("POST", request.path, {**kept, **request.data}, request.namespace)
    return Change("update", subject, whole, differing)


def _refuse_foreign(state: DesiredState, config: Mapping[str, Any]) -> None:
    wanted = state.auth.config
    other_source = next((name for name in OTHER_KEY_SOURCES if config.get(name)), None)
    other_issuer = config.get("jwks_url") != wanted.jwks_url and config.get("bound_issuer") != wanted.bound_issuer
    if other_source is None and not other_issuer:
        return
    trusted = config.get("bound_issuer") or config.get("jwks_url") or other_source
    raise SetupConflict(
        f"auth/{state.auth.path} trusts somebody else already: {visible(str(trusted), 255)}",
        hint="Choose another auth mount path: replacing this config would lock out whoever logs in with it.",
    )


def _kv(state: DesiredState, actual: ActualState, by_path: Mapping[str, Request]) -> Change | None:
    kv = state.kv
    if kv is None:
        return None
    if actual.kv is None:
        return Change("create", f"KV engine {kv.path}", by_path[f"sys/mounts/{kv.path}"])
    kind = actual.kv.get("type")
    version = (actual.kv.get("options") or {}).get("version") or "1"
    if kind != "kv" or str(version) != str(kv.version):
        is_now = f"version {version} of kv" if kind == "kv" else f"an engine of type {visible(str(kind), 64)}"
        raise SetupConflict(
            f"at {kv.path}/ there is {is_now}, not version {kv.version} of kv",
            hint="Choose another KV path, or say the version that is there.",
        )
    return None


def _policy(policy: Policy, actual: ActualState, by_path: Mapping[str, Request]) -> Change | None:
    text = actual.policies.get(policy.name)
    if text == policy.text:
        return None
    action: Literal["create", "update"] = "create" if text is None else "update"
    return Change(action, f"policy {policy.name}", by_path[policy_path(policy)])


def _role(state: DesiredState, role: Role, actual: ActualState, by_path: Mapping[str, Request]) -> Change | None:
    request = by_path[role_path(state, role)]
    found = actual.roles.get(role.name)
    if found is None:
        return Change("create", f"role {role.name}", request)
    differing = _differing(request.data, found)
    return Change("update", f"role {role.name}", request, differing) if differing else None


def _differing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, value in wanted.items() if normal(name, value) != normal(name, found.get(name)))


_NORMAL: Final[Mapping[str, Callable[[Any], Any]]] = {
    "token_policies": lambda value: sorted({str(item).lower() for item in value}),
    "token_bound_cidrs": lambda value: sorted(str(item).removesuffix("/32").removesuffix("/128") for item in value),
    "bound_audiences": lambda value: sorted({str(item).strip() for item in value}),
    "jwt_supported_algs": lambda value: sorted({str(item).strip() for item in value}),
    "bound_claims": lambda value: {key: _claim(item) for key, item in value.items()},
    "default_role": lambda value: str(value).lower(),
    "jwks_ca_pem": lambda value: str(value).strip(),
    "token_type": lambda value: None if value == "default" else value,
}
"""How the Vault changes what is written; other parameters read back as they are."""


def normal(name: str, value: Any) -> Any:
    """Give a parameter's value as it can be compared; every kind of empty is None."""
    if not value:
        return None
    return _NORMAL[name](value) if name in _NORMAL else value


def _claim(value: Any) -> Any:
    """Give a bound claim's value, keeping JSON's types apart (`True` is not 1) and a list's order out."""
    return sorted(json.dumps(item) for item in value) if isinstance(value, list) else json.dumps(value)
