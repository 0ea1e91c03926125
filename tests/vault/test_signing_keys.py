"""Whatever the issuer may publish is read by a real OpenBao, and tokens of every algorithm log in."""

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from runpass.clock import SYSTEM_CLOCK
from runpass.server.issuer.algorithms import Algorithm, public_jwk
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.publishable import public_pem, publishable
from runpass.server.issuer.ring import KeyRing
from runpass.vault.client import VaultClient
from runpass.vault.login import jwt_login
from runpass.vault.refusals import Refusal
from throwaway_issuer import AUDIENCE, ThrowawayIssuer

ROLE = "run"
CLAIMS = WorkloadClaims(
    **{name: "x" for name in WorkloadClaims.__dataclass_fields__ if name not in {"api_key_type", "environment_id"}},
    environment_id="environment",
)
KEYS = {algorithm: new_key(SYSTEM_CLOCK.now(), algorithm) for algorithm in Algorithm}
NEIGHBOURS = [
    public_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()),
    public_jwk(ec.generate_private_key(ec.SECP521R1()).public_key()),
    public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=3072).public_key()),
]


@pytest.fixture
def minters(own_issuer: ThrowawayIssuer) -> dict[Algorithm, Minter]:
    """A minter for each algorithm, of one issuer that publishes keys of every kind."""
    published = [key.public_jwk for key in KEYS.values()] + NEIGHBOURS
    assert all(publishable(jwk) for jwk in published)
    own_issuer.body = json.dumps({"keys": published}).encode()
    return {algorithm: Minter(KeyRing((key,)), own_issuer.url, SYSTEM_CLOCK) for algorithm, key in KEYS.items()}


def configure(root: VaultClient, mount: str, **keys: object) -> None:
    root.write(f"auth/{mount}/config", keys)
    role = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [AUDIENCE], "token_type": "batch"}
    root.write(f"auth/{mount}/role/{ROLE}", {**role, "bound_claims": {"apiKeyType": "oidc"}})


def log_in(vault: VaultClient, mount: str, minter: Minter) -> None:
    minted = minter.mint(CLAIMS, subject="s", audience=AUDIENCE, lifetime=timedelta(minutes=5))
    jwt_login(vault, mount=mount, role=ROLE, jwt=minted.token)


def test_tokens_of_every_algorithm_log_in_beside_keys_of_every_kind(
    vault: VaultClient, vault_root: VaultClient, jwt_mount: str, own_issuer: ThrowawayIssuer, minters
):
    configure(vault_root, jwt_mount, jwks_url=own_issuer.jwks_url, bound_issuer=own_issuer.url)
    for minter in minters.values():
        log_in(vault, jwt_mount, minter)


def test_exported_keys_can_be_pushed(vault: VaultClient, vault_root: VaultClient, jwt_mount: str, minters):
    exported = [public_pem(key.public_jwk) for key in KEYS.values()] + [public_pem(jwk) for jwk in NEIGHBOURS]
    configure(vault_root, jwt_mount, jwt_validation_pubkeys=exported)
    for minter in minters.values():
        log_in(vault, jwt_mount, minter)


def test_a_list_of_algorithms_has_to_name_the_new_one(
    vault: VaultClient, vault_root: VaultClient, jwt_mount: str, own_issuer: ThrowawayIssuer, minters
):
    configure(vault_root, jwt_mount, jwks_url=own_issuer.jwks_url, jwt_supported_algs=["RS256"])
    log_in(vault, jwt_mount, minters[Algorithm.RS256])
    with pytest.raises(Refusal) as refused:
        log_in(vault, jwt_mount, minters[Algorithm.ES256])
    assert refused.value.code == "algorithm"
