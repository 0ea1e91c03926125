"""HashiCorp's `vault` Terraform provider, as far as our examples use it: each resource as the request it becomes."""

from collections.abc import Callable, Mapping
from typing import Any

from runpass.vault.client import VaultClient

State = Mapping[str, Any]


def _namespace(vault: VaultClient, wanted: State) -> None:
    vault.write(f"sys/namespaces/{wanted['path']}")


def _mount(vault: VaultClient, wanted: State) -> None:
    described = {"description": wanted["description"]} if "description" in wanted else {}
    data = {"type": wanted["type"], "options": wanted["options"], **described}
    vault.write(f"sys/mounts/{wanted['path']}", data)


def _policy(vault: VaultClient, wanted: State) -> None:
    vault.write(f"sys/policies/acl/{wanted['name']}", {"policy": wanted["policy"]})


def _jwt(vault: VaultClient, wanted: State) -> None:
    described = {"description": wanted["description"]} if "description" in wanted else {}
    vault.write(f"sys/auth/{wanted['path']}", {"type": wanted["type"], **described})
    apart = {"path", "type", "description", "tune", "namespace"}
    config = {name: value for name, value in wanted.items() if name not in apart}
    vault.write(f"auth/{wanted['path']}/config", config)
    for tune in wanted.get("tune", ()):
        vault.write(f"sys/mounts/auth/{wanted['path']}/tune", tune)


def _role(vault: VaultClient, wanted: State) -> None:
    role = {name: value for name, value in wanted.items() if name not in {"backend", "role_name", "namespace"}}
    # The provider takes text alone, and a comma in it for the next value.
    claims = {name: str(value).split(",") for name, value in role.get("bound_claims", {}).items()}
    role["bound_claims"] = {name: values if len(values) > 1 else values[0] for name, values in claims.items()}
    vault.write(f"auth/{wanted['backend']}/role/{wanted['role_name']}", role)


def create(vault: VaultClient, kind: str, wanted: State) -> None:
    """Do what the provider does to create a resource, in the namespace that it names."""
    KINDS[kind][1](vault.in_namespace(wanted.get("namespace", "")), wanted)


KINDS: Mapping[str, tuple[frozenset[str], Callable[[VaultClient, State], None]]] = {
    "vault_namespace": (frozenset({"path"}), _namespace),
    "vault_mount": (frozenset({"path", "type", "description", "options"}), _mount),
    "vault_policy": (frozenset({"name", "policy"}), _policy),
    "vault_jwt_auth_backend": (
        frozenset({"path", "type", "description", "tune", "jwks_url", "jwks_ca_pem", "bound_issuer"})
        | frozenset({"oidc_discovery_url", "oidc_discovery_ca_pem", "jwt_validation_pubkeys"})
        | frozenset({"jwt_supported_algs", "default_role"}),
        _jwt,
    ),
    "vault_jwt_auth_backend_role": (
        frozenset({"backend", "role_name", "role_type", "user_claim", "bound_audiences", "token_policies"})
        | frozenset({"token_ttl", "token_explicit_max_ttl", "bound_claims", "claim_mappings", "bound_subject"})
        | frozenset({"bound_claims_type", "user_claim_json_pointer", "groups_claim", "clock_skew_leeway"})
        | frozenset({"expiration_leeway", "not_before_leeway", "verbose_oidc_logging", "token_no_default_policy"})
        | frozenset({"token_max_ttl", "token_period", "token_num_uses", "token_type", "token_bound_cidrs"}),
        _role,
    ),
}
"""The attributes of each kind that are played here, and what it does."""
