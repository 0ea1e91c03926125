"""Reads what exists in a Vault of what a desired state talks about, with as few rights as possible.

The lists of mounts (`sys/auth`, `sys/mounts`) are asked first. A token that may not read them is told of one mount by
`sys/internal/ui/mounts`, which asks for no more than some right below that mount. Nothing here needs sudo.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runpass.vault import desired
from runpass.vault.client import VaultClient
from runpass.vault.desired import DesiredState
from runpass.vault.difference import ActualState
from runpass.vault.errors import NamespaceNotFound, PolicyDenied, VaultFailure, visible

ANY_ANSWER: Final = frozenset({400, 403, 404, 500})
NOT_THERE: Final = 404


@dataclass(slots=True)
class _Reader:
    """Reads, and gathers what the token may not read, so that all of it is named together."""

    client: VaultClient
    denied: dict[str, PolicyDenied] = field(default_factory=dict)

    def read(self, namespace: str, path: str) -> Mapping[str, Any] | None:
        try:
            answer = self.client.in_namespace(namespace).read(path, accept={NOT_THERE})
        except PolicyDenied as error:
            self.denied[f"read on {within(namespace, path)}"] = error
            return None
        return None if answer.status == NOT_THERE else answer.data

    def mount(self, namespace: str, listing: str, path: str) -> Mapping[str, Any] | None:
        """Give one mount, out of the list or alone; None where there is none."""
        try:
            found = self.client.in_namespace(namespace).read(listing).data.get(f"{path}/")
        except PolicyDenied as error:
            found = self._alone(namespace, listing, path, error)
        return found if isinstance(found, dict) else None

    def _alone(self, namespace: str, listing: str, path: str, refused: PolicyDenied) -> object:
        full = f"auth/{path}" if listing == "sys/auth" else path
        try:
            found = self.client.in_namespace(namespace).read(f"sys/internal/ui/mounts/{full}").data
        except PolicyDenied:
            self.denied[f"read on {within(namespace, listing)}"] = refused
            return None
        # A mount that holds this path answers as well; only the one that was meant is taken.
        return found if str(found.get("path", "")).strip("/") in {path, full} else None


def read_actual(client: VaultClient, state: DesiredState) -> ActualState:
    """Give what exists of what `state` talks about.

    Raises `PolicyDenied` that names all that the token may not read.
    """
    missing = _missing_namespaces(client, state)
    reader = _Reader(client)
    kv = _kv_mounts(reader, state, missing)
    if state.namespace in missing:
        found = ActualState(missing_namespaces=missing, kv=kv)
    else:
        found = _here(reader, state, missing, kv)
    if reader.denied:
        raise lacking(reader.denied)
    return found


def undeclared_roles(client: VaultClient, state: DesiredState) -> tuple[str, ...]:
    """Give the roles of the auth method that the state does not have. Raises `PolicyDenied` that names the right."""
    path = f"auth/{state.auth.path}/role"
    try:
        answer = client.in_namespace(state.namespace).list(path, accept={NOT_THERE})
    except NamespaceNotFound:
        return ()
    except PolicyDenied as error:
        raise lacking({f"list on {within(state.namespace, path)}": error}) from error
    keys = answer.data.get("keys")
    declared = {role.name for role in state.roles}
    return tuple(sorted(str(key) for key in keys if key not in declared)) if isinstance(keys, list) else ()


def within(namespace: str, path: str) -> str:
    """Give a path as a policy of the root namespace writes it."""
    return f"{namespace}/{path}" if namespace else path


def lacking(denied: Mapping[str, VaultFailure]) -> PolicyDenied:
    """Give the error for rights that a token lacks, each as `<capability> on <path>`."""
    first = next(iter(denied.values()))
    rights = "; ".join(f"capability {visible(right, 512)}" for right in denied)
    return PolicyDenied(
        f"the token lacks the {rights}",
        hint="Use a token with these rights; runpass vault plan --print-policy prints a policy that is enough.",
        vault_error=first.vault_error,
        status=first.status,
    )


def _here(
    reader: _Reader,
    state: DesiredState,
    missing: tuple[str, ...],
    kv: Mapping[tuple[str, str], Mapping[str, Any]],
) -> ActualState:
    here = state.namespace
    auth = reader.mount(here, "sys/auth", state.auth.path)
    config, roles = None, {}
    if auth is not None:
        config = reader.read(here, desired.config_path(state))
        found = {role.name: reader.read(here, desired.role_path(state, role)) for role in state.roles}
        roles = {name: role for name, role in found.items() if role is not None}
    read = {policy.name: reader.read(here, desired.policy_path(policy)) for policy in state.policies}
    policies = {name: policy for name, policy in read.items() if policy is not None}
    versions = {name: policy.get("version") for name, policy in policies.items()}
    return ActualState(
        missing_namespaces=missing,
        auth_type=None if auth is None else str(auth.get("type")),
        auth_tuning=_mapping(auth, "config"),
        config=config,
        kv=kv,
        roles=roles,
        policies={name: str(policy.get("policy", "")) for name, policy in policies.items()},
        policy_versions={name: number for name, number in versions.items() if isinstance(number, int)},
    )


def _kv_mounts(
    reader: _Reader, state: DesiredState, missing: tuple[str, ...]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    found = {}
    for kv in state.kv_mounts:
        namespace = desired.kv_namespace(state, kv)
        mount = None if namespace in missing else reader.mount(namespace, "sys/mounts", kv.path)
        if mount is not None:
            found[namespace, kv.path] = mount
    return found


def _missing_namespaces(client: VaultClient, state: DesiredState) -> tuple[str, ...]:
    """Give the namespaces on the way down that do not exist; asking needs no right at all."""
    missing: list[str] = []
    for request in desired.namespace_requests(*desired.namespaces(state)):
        full = within(request.namespace, request.path.removeprefix("sys/namespaces/"))
        try:
            client.in_namespace(full).read("auth/token/lookup-self", accept=ANY_ANSWER)
        except NamespaceNotFound:
            missing.append(full)
    return tuple(missing)


def _mapping(data: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    found = (data or {}).get(name)
    return found if isinstance(found, dict) else {}
