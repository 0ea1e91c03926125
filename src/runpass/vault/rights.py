"""Which rights an operator's token needs to bring a Vault to a desired state, and a policy that grants just them. Pure.

Measured on OpenBao 2.7.2: enabling an auth method is an update with sudo, everything else goes without sudo; a new role
is a create, an existing one an update; all other writes are updates, whether the thing exists or not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from runpass.vault import desired
from runpass.vault.desired import DesiredState
from runpass.vault.difference import Change
from runpass.vault.errors import PathInvalid

WARNING: Final = (
    "# For the operator who runs runpass vault plan, apply and drift. Whoever may write roles of an auth method\n"
    "# can give themselves any policy: grant this to people, and for as long as they need it.\n"
)
PATTERNS: Final = '*+{}"\\'
"""What would mean more than itself in a policy's path."""


@dataclass(frozen=True, slots=True)
class Right:
    """What a token must be allowed at a path, as a policy of `namespace` names it."""

    namespace: str
    path: str
    capabilities: tuple[str, ...]
    why: str

    @property
    def full_path(self) -> str:
        """The path from the root namespace."""
        return f"{self.namespace}/{self.path}" if self.namespace else self.path


def rights(state: DesiredState) -> tuple[Right, ...]:
    """Give every right that reading and making the state can take."""
    here, mount = state.namespace, state.auth.path
    making = (
        Right(request.namespace, request.path, ("update",), "to make the namespace")
        for request in desired.namespace_requests(*desired.namespaces(state))
    )
    found = [
        *making,
        Right(here, "sys/auth", ("read",), "to see the auth methods"),
        Right(here, f"sys/auth/{mount}", ("update", "sudo"), "to enable the auth method; not needed once it is there"),
        Right(here, desired.config_path(state), ("read", "update"), "its configuration"),
        Right(here, f"auth/{mount}/role", ("list",), "to see roles that nobody declared (drift)"),
    ]
    if state.auth.token_type is not None:
        found.append(Right(here, desired.tuning(state).path, ("update",), "to tune the auth method"))
    spaces = dict.fromkeys(desired.kv_namespace(state, kv) for kv in state.kv_mounts)
    found += [Right(space, "sys/mounts", ("read",), "to see the secrets engines") for space in spaces]
    for kv in state.kv_mounts:
        request = desired.kv_request(state, kv)
        found.append(Right(request.namespace, request.path, ("update",), "to enable the KV engine"))
    found += [Right(here, desired.policy_path(item), ("read", "update"), "a policy") for item in state.policies]
    writing = ("create", "read", "update")
    found += [Right(here, desired.role_path(state, item), writing, "a role") for item in state.roles]
    return tuple(found)


def operator_policy(state: DesiredState) -> str:
    """Give the text of a policy that is enough for plan, apply and drift, with paths from the root namespace down.

    Raises `PathInvalid` for a path in which a policy would see a pattern.
    """
    blocks = [WARNING]
    for right in rights(state):
        # SECURITY: a pattern would grant more than the path that is meant.
        if any(character in PATTERNS for character in right.full_path):
            raise PathInvalid("a mount's path holds a character that means something in a policy")
        names = ", ".join(f'"{name}"' for name in right.capabilities)
        blocks.append(f'path "{right.full_path}" {{ # {right.why}\n  capabilities = [{names}]\n}}\n')
    return "\n".join(blocks)


def needed(state: DesiredState, changes: Iterable[Change]) -> tuple[Right, ...]:
    """Give the rights that carrying out these changes takes, as far as they can be asked for beforehand.

    What stands in a namespace or below an auth method that is yet to be made is left out: a Vault denies every
    capability there.
    """
    making = [change for change in changes if change.action == "create"]
    new_spaces = {change.subject.removeprefix("namespace ") for change in making if "namespace " in change.subject}
    is_new = any(change.request.path == f"sys/auth/{state.auth.path}" for change in making)
    return tuple(
        Right(change.request.namespace, change.request.path, capabilities(change), str(change))
        for change in changes
        if change.request.namespace not in new_spaces and not (is_new and change.request.path.startswith("auth/"))
    )


def capabilities(change: Change) -> tuple[str, ...]:
    """Give the capabilities that a write takes."""
    path = change.request.path
    if path.startswith("auth/") and "/role/" in path:
        return (change.action,)
    return ("update", "sudo") if path.startswith("sys/auth/") else ("update",)
