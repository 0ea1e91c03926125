"""A JWT auth mount that trusts a throw-away issuer, and roles on it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runpass.secret import Secret
from runpass.vault.client import VaultClient
from throwaway_issuer import AUDIENCE, ThrowawayIssuer, throwaway_issuer


@pytest.fixture(scope="session")
def issuer() -> Iterator[ThrowawayIssuer]:
    """An issuer that tests share and do not change."""
    with throwaway_issuer() as started:
        yield started


@pytest.fixture
def own_issuer() -> Iterator[ThrowawayIssuer]:
    """An issuer of this test alone."""
    with throwaway_issuer() as started:
        yield started


@pytest.fixture
def trusting_mount(vault_root: VaultClient, jwt_mount: str, issuer: ThrowawayIssuer) -> str:
    """An auth mount that trusts `issuer`."""
    vault_root.write(f"auth/{jwt_mount}/config", {"jwks_url": issuer.jwks_url, "bound_issuer": issuer.url})
    return jwt_mount


@pytest.fixture
def write_role(vault_root: VaultClient, trusting_mount: str) -> Callable[..., str]:
    """Write a role that accepts the issuer's tokens, with changes; a parameter that is None is left out."""

    def write(name: str = "deploy", **changes: Any) -> str:
        role = {
            "role_type": "jwt",
            "user_claim": "environmentId",
            "bound_audiences": [AUDIENCE],
            "token_policies": ["default"],
            "token_ttl": 60,
            **changes,
        }
        given = {key: value for key, value in role.items() if value is not None}
        vault_root.write(f"auth/{trusting_mount}/role/{name}", given)
        return name

    return write


@pytest.fixture
def allow(vault_root: VaultClient, unique: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """Write a policy and give its name."""
    names: list[str] = []

    def write(text: str) -> str:
        names.append(unique("policy"))
        vault_root.write(f"sys/policies/acl/{names[-1]}", {"policy": text})
        return names[-1]

    yield write
    for name in names:
        vault_root.delete(f"sys/policies/acl/{name}")


@pytest.fixture
def token_with(vault_root: VaultClient) -> Callable[..., VaultClient]:
    """A client whose token has just these policies."""

    def create(*policies: str, **parameters: Any) -> VaultClient:
        answer = vault_root.write("auth/token/create", {"policies": policies, "ttl": "5m", **parameters})
        return vault_root.with_token(Secret(answer.auth["client_token"]))

    return create
