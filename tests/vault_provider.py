"""HashiCorp's `vault` Terraform provider, as far as our examples use it: each resource as the request it becomes."""

from collections.abc import Callable, Mapping
from typing import Any

from runpass.vault.client import VaultClient

State = Mapping[str, Any]


def _mount(vault: VaultClient, wanted: State) -> None:
    vault.write(f"sys/mounts/{wanted['path']}", {"type": wanted["type"], "options": wanted["options"]})


def _policy(vault: VaultClient, wanted: State) -> None:
    vault.write(f"sys/policies/acl/{wanted['name']}", {"policy": wanted["policy"]})


def _jwt(vault: VaultClient, wanted: State) -> None:
    vault.write(f"sys/auth/{wanted['path']}", {"type": wanted["type"]})
    config = {name: value for name, value in wanted.items() if name not in {"path", "type"}}
    vault.write(f"auth/{wanted['path']}/config", config)


def _role(vault: VaultClient, wanted: State) -> None:
    role = {name: value for name, value in wanted.items() if name not in {"backend", "role_name"}}
    vault.write(f"auth/{wanted['backend']}/role/{wanted['role_name']}", role)


KINDS: Mapping[str, tuple[frozenset[str], Callable[[VaultClient, State], None]]] = {
    "vault_mount": (frozenset({"path", "type", "options"}), _mount),
    "vault_policy": (frozenset({"name", "policy"}), _policy),
    "vault_jwt_auth_backend": (frozenset({"path", "type", "jwks_url", "bound_issuer"}), _jwt),
    "vault_jwt_auth_backend_role": (
        frozenset({"backend", "role_name", "role_type", "user_claim", "bound_audiences", "token_policies"})
        | frozenset({"token_ttl", "token_explicit_max_ttl", "bound_claims", "claim_mappings"}),
        _role,
    ),
}
"""The attributes of each kind that are played here, and what it does."""
