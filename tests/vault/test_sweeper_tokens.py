"""The control plane's own tokens and those of runs, made by the real minter: neither passes at the other's role."""

import json
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest

from runpass.clock import SYSTEM_CLOCK
from runpass.protocol import sweeper
from runpass.secret import Secret
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.vault.client import VaultClient
from runpass.vault.login import jwt_login
from runpass.vault.refusals import Refusal
from runpass.vault.session import VaultSession
from runpass.vault.sweeper import role
from throwaway_issuer import ThrowawayIssuer

ORGANIZATION = uuid4()
AUDIENCE = "https://runpass.test"


@pytest.fixture
def minter(own_issuer: ThrowawayIssuer) -> Minter:
    ring = KeyRing((new_key(SYSTEM_CLOCK.now()),))
    own_issuer.body = json.dumps(ring.jwks()).encode()
    return Minter(ring, own_issuer.url, SYSTEM_CLOCK)


@pytest.fixture
def mount(vault_root: VaultClient, jwt_mount: str, own_issuer: ThrowawayIssuer, minter: Minter) -> str:
    vault_root.write(f"auth/{jwt_mount}/config", {"jwks_url": own_issuer.jwks_url, "bound_issuer": own_issuer.url})
    common = {"role_type": "jwt", "token_ttl": 60, "token_policies": ["default"]}
    run = {
        "user_claim": "environmentId",
        "bound_audiences": [AUDIENCE],
        "bound_claims": {"apiKeyType": "oidc", "organizationId": str(ORGANIZATION)},
    }
    vault_root.write(f"auth/{jwt_mount}/role/run", {**common, **run})
    vault_root.write(f"auth/{jwt_mount}/role/{sweeper.ROLE}", role(ORGANIZATION).parameters())
    return jwt_mount


def run_token(minter: Minter, *, expired: bool = False) -> Secret:
    facts = dict.fromkeys(
        ("project_id", "project_name", "template_id", "template_name", "environment_id", "environment_name"), "x"
    )
    more = dict.fromkeys(
        ("workspace_name", "deployment_log_id", "deployment_type", "phase", "runner_id", "runner_pool"), "x"
    )
    organization = {"organization_id": str(ORGANIZATION), "organization": str(ORGANIZATION)}
    claims = WorkloadClaims(**organization, **facts, **more, runner_isolation="uid")
    if expired:
        return minter.mint_expired(claims, subject=str(ORGANIZATION), audience=AUDIENCE).token
    return minter.mint(claims, subject=str(ORGANIZATION), audience=AUDIENCE, lifetime=timedelta(minutes=5)).token


def test_each_kind_passes_at_its_own_role(vault: VaultClient, mount: str, minter: Minter):
    tokens = {"run": run_token(minter), sweeper.ROLE: minter.mint_sweeper(ORGANIZATION).token}
    for name, token in tokens.items():
        with VaultSession.login(vault, mount=mount, role=name, jwt=token) as session:
            assert session.granted.metadata["role"] == name


def test_neither_kind_passes_at_the_others_role(vault: VaultClient, mount: str, minter: Minter):
    with pytest.raises(Refusal):
        jwt_login(vault, mount=mount, role=sweeper.ROLE, jwt=run_token(minter))
    with pytest.raises(Refusal):
        jwt_login(vault, mount=mount, role="run", jwt=minter.mint_sweeper(ORGANIZATION).token)


def test_a_sweepers_token_lives_for_a_minute_and_says_nothing_of_a_run(minter: Minter):
    found = jwt.decode(minter.mint_sweeper(ORGANIZATION).token.reveal(), options={"verify_signature": False})
    assert found["exp"] - found["iat"] == 60
    assert set(found) == {"iss", "sub", "aud", "iat", "nbf", "exp", "jti", "apiKeyType", "organizationId"}


def test_another_organizations_sweeper_does_not_pass(vault: VaultClient, mount: str, minter: Minter):
    with pytest.raises(Refusal):
        jwt_login(vault, mount=mount, role=sweeper.ROLE, jwt=minter.mint_sweeper(uuid4()).token)


def test_the_token_of_1970_is_refused_for_its_time_alone(vault: VaultClient, mount: str, minter: Minter):
    with pytest.raises(Refusal) as refused:
        jwt_login(vault, mount=mount, role="run", jwt=run_token(minter, expired=True))
    assert refused.value.code == "expired"
