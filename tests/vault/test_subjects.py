"""Subjects from templates, and optional claims, at a real OpenBao; and what is said of roles without a token."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from runpass.clock import SYSTEM_CLOCK
from runpass.secret import Secret
from runpass.server.issuer.claims import AWS_TAGS, OptionalClaims, WorkloadClaims
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.issuer.subjects import subject
from runpass.vault.client import VaultClient
from runpass.vault.explain.admission import admission
from runpass.vault.refusals import Refusal
from runpass.vault.session import VaultSession
from throwaway_issuer import ThrowawayIssuer

AUDIENCE = "https://runpass.test"
OURS, THEIRS, PROJECT, ENVIRONMENT = uuid4(), uuid4(), uuid4(), uuid4()
TEMPLATE = ["organizationId", "projectId", "environmentId"]
EVERYTHING = OptionalClaims(env0_prefixed=True, aws_tags=True, aws_transitive_tags=("projectId",))
PLACE = f"projectId:{PROJECT}:environmentId:{ENVIRONMENT}"
Mint = Callable[..., Secret]


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    return KeyRing((new_key(SYSTEM_CLOCK.now()),))


@pytest.fixture
def mint(own_issuer: ThrowawayIssuer, ring: KeyRing, vault_root: VaultClient, jwt_mount: str) -> Mint:
    own_issuer.body = json.dumps(ring.jwks()).encode()
    vault_root.write(f"auth/{jwt_mount}/config", {"jwks_url": own_issuer.jwks_url, "bound_issuer": own_issuer.url})
    minter = Minter(ring, own_issuer.url, SYSTEM_CLOCK)

    def token(
        organization: UUID, template: list[str] | None = TEMPLATE, optional: OptionalClaims = EVERYTHING
    ) -> Secret:
        facts = dict.fromkeys(WorkloadClaims.__dataclass_fields__, "x") | {
            "api_key_type": "oidc",
            "organization_id": str(organization),
            "organization": str(organization),
            "project_id": str(PROJECT),
            "environment_id": str(ENVIRONMENT),
        }
        claims = WorkloadClaims(**facts)
        sub = str(organization) if template is None else subject(organization, template, claims.as_mapping())
        lifetime = timedelta(minutes=5)
        return minter.mint(claims, subject=sub, audience=AUDIENCE, lifetime=lifetime, optional=optional).token

    return token


def bound(**more: Any) -> dict[str, Any]:
    return {
        "role_type": "jwt",
        "user_claim": "environmentId",
        "bound_audiences": [AUDIENCE],
        "token_policies": ["default"],
        "token_ttl": 60,
        **more,
    }


def globs(**claims: Any) -> dict[str, Any]:
    return bound(bound_claims_type="glob", bound_claims=claims)


ROLES = {
    "whole": bound(bound_subject=f"{OURS}:{PLACE}"),
    "whole-claim": bound(bound_claims={"sub": f"{OURS}:{PLACE}"}),
    "project": globs(sub=f"{OURS}:projectId:{PROJECT}:*"),
    "organization": globs(sub=f"{OURS}:*"),
    "default": bound(bound_subject=str(OURS)),
    "env0": bound(bound_claims={"https://env0.com/organization": str(OURS), "https://env0.com/apiKeyType": "oidc"}),
    "tag": bound(bound_claims={f"/{AWS_TAGS.replace('/', '~1')}/principal_tags/organizationId": str(OURS)}),
    "alias": bound(bound_claims={"organizationId": str(OURS)}, user_claim="sub"),
}
ADMITTED = {
    "ours": {"whole", "whole-claim", "project", "organization", "env0", "tag", "alias"},
    "ours, plain": {"default", "alias"},
    "theirs": set[str](),
    "theirs, plain": set[str](),
}


def test_a_role_of_a_subject_admits_the_runs_it_names_and_nobody_elses(
    vault: VaultClient, vault_root: VaultClient, jwt_mount: str, mint: Mint
):
    plain = {"template": None, "optional": OptionalClaims()}
    tokens = {
        "ours": mint(OURS),
        "ours, plain": mint(OURS, **plain),
        "theirs": mint(THEIRS),
        "theirs, plain": mint(THEIRS, **plain),
    }
    found: dict[str, set[str]] = {name: set() for name in tokens}
    said: dict[str, set[str]] = {name: set() for name in tokens}
    for role, parameters in ROLES.items():
        vault_root.write(f"auth/{jwt_mount}/role/{role}", parameters)
        data = vault_root.read(f"auth/{jwt_mount}/role/{role}").data
        for name, token in tokens.items():
            claims = jwt.decode(token.reveal(), options={"verify_signature": False})
            times = {key: float(value) for key, value in claims.items() if isinstance(value, int)}
            if admission(role, data, claims | times, ()).admits:
                said[name].add(role)
            try:
                with VaultSession.login(vault, mount=jwt_mount, role=role, jwt=token):
                    found[name].add(role)
            except Refusal:
                pass
    assert found == ADMITTED
    assert said == found
