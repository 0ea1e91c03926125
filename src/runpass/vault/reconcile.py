"""Brings a Vault to its desired state: read → difference → changes → apply, with the operator's own token.

Only real differences are written: each write of an auth method's config drops the Vault's cache of keys and needs
the issuer to be up.
"""

from collections.abc import Mapping
from typing import Any, Final

from runpass.vault.client import VaultClient
from runpass.vault.desired import DesiredState, config_path, namespace_requests, policy_path, role_path
from runpass.vault.difference import ActualState, Change, difference
from runpass.vault.errors import NamespaceNotFound, PolicyDenied, RequestRefused, visible

ANY_ANSWER: Final = frozenset({400, 403, 404, 500})
NEEDS_SUDO: Final = ("sys/auth/",)


def setup(client: VaultClient, state: DesiredState, *, take_over: bool = False) -> tuple[Change, ...]:
    """Make `state` be, and give the changes that were needed; the second time there are none.

    Raises `PolicyDenied` that names the capability which the token lacks, and `SetupConflict` before anything is
    written.
    """
    changes = plan(client, state, take_over=take_over)
    apply(client, changes)
    return changes


def plan(client: VaultClient, state: DesiredState, *, take_over: bool = False) -> tuple[Change, ...]:
    """Give the changes that `setup` would make, and make none."""
    return difference(state, read_actual(client, state), take_over=take_over)


def apply(client: VaultClient, changes: tuple[Change, ...]) -> None:
    """Write the changes, in order."""
    for change in changes:
        request = change.request
        view = client.in_namespace(request.namespace)
        try:
            view.write(request.path, request.data)
        except PolicyDenied as error:
            raise _lacking("create and update", request.path, error) from error
        except RequestRefused as error:
            raise _refused(change, error) from error


def read_actual(client: VaultClient, state: DesiredState) -> ActualState:
    """Give what exists of what `state` talks about."""
    missing = _missing_namespaces(client, state.namespace)
    if missing:
        return ActualState(missing_namespaces=missing)
    view = client.in_namespace(state.namespace)
    mounted = _read(view, "sys/auth") or {}
    auth_type = _member(mounted, f"{state.auth.path}/").get("type")
    config, roles = None, {}
    if auth_type is not None:
        config = _read(view, config_path(state))
        found = {role.name: _read(view, role_path(state, role)) for role in state.roles}
        roles = {name: role for name, role in found.items() if role is not None}
    policies = {policy.name: _read(view, policy_path(policy)) for policy in state.policies}
    return ActualState(
        auth_type=auth_type,
        config=config,
        roles=roles,
        kv=None if state.kv is None else _member(_read(view, "sys/mounts") or {}, f"{state.kv.path}/") or None,
        policies={name: str(found.get("policy", "")) for name, found in policies.items() if found is not None},
    )


def _missing_namespaces(client: VaultClient, namespace: str) -> tuple[str, ...]:
    """Give the namespaces on the way down that do not exist; asking needs no right at all."""
    missing: list[str] = []
    for request in namespace_requests(namespace):
        full = f"{request.namespace}/{request.path.removeprefix('sys/namespaces/')}".strip("/")
        try:
            client.in_namespace(full).read("auth/token/lookup-self", accept=ANY_ANSWER)
        except NamespaceNotFound:
            missing.append(full)
    return tuple(missing)


def _read(client: VaultClient, path: str) -> Mapping[str, Any] | None:
    try:
        answer = client.read(path, accept={404})
    except PolicyDenied as error:
        raise _lacking("read", path, error) from error
    return None if answer.status == 404 else answer.data  # noqa: PLR2004 -- HTTP's own number


def _member(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _lacking(capability: str, path: str, error: PolicyDenied) -> PolicyDenied:
    sudo = " and sudo" if capability != "read" and path.startswith(NEEDS_SUDO) else ""
    return PolicyDenied(
        f"the token lacks the capability {capability}{sudo} on {visible(path, 512)}",
        hint="Use a token with that right, or add it to one of its policies.",
        vault_error=error.vault_error,
        status=error.status,
    )


def _refused(change: Change, error: RequestRefused) -> RequestRefused:
    about_keys = "jwks" in (error.vault_error or "").lower()
    return RequestRefused(
        f"the Vault refused to {change}",
        hint="The Vault itself must reach jwks_url, trust its certificate, and understand every key in it."
        if about_keys
        else error.hint,
        vault_error=error.vault_error,
        status=error.status,
    )
