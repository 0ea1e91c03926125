"""Our tokens and documents, read by programs that are not ours: PyJWT, node's jose and openid-client, OpenBao."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest

from fake_servers import Door, OnASocket
from node_libraries import LIBRARIES, NodeRefusal, need_node, verify
from runpass.clock import SYSTEM_CLOCK
from runpass.secret import Secret
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.discovery import jwks_document, provider_metadata
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.vault.client import VaultClient
from runpass.vault.login import jwt_login
from runpass.vault.refusals import Refusal

AUDIENCE = "https://runpass.test"
ID = "0198f000-0000-7000-8000-000000000000"
CLAIMS = WorkloadClaims(
    organization_id=ID,
    organization=ID,
    project_id=ID,
    project_name='a "name", ünïcode',
    template_id=ID,
    template_name="t",
    environment_id=ID,
    environment_name="e",
    workspace_name="w",
    deployment_log_id=ID,
    deployment_type="deploy",
    phase="apply",
    runner_id=ID,
    runner_pool="default",
    runner_isolation="uid",
)
KEYS = {algorithm: new_key(SYSTEM_CLOCK.now(), algorithm) for algorithm in Algorithm}


class Published:
    """The real documents of one issuer with a key of every algorithm, on a socket."""

    def __init__(self) -> None:
        self.url = ""
        self._ring = KeyRing(tuple(KEYS.values()))

    @property
    def jwks_url(self) -> str:
        return f"{self.url}.well-known/jwks.json"

    def answer(self, path: str) -> bytes:
        known = {
            "/.well-known/openid-configuration": provider_metadata(self.url, self.jwks_url, self._ring),
            "/.well-known/jwks.json": jwks_document(self._ring),
        }
        return known[path].body

    def token(self, algorithm: Algorithm, lifetime: timedelta = timedelta(minutes=5)) -> str:
        minter = Minter(KeyRing((KEYS[algorithm],)), self.url, SYSTEM_CLOCK)
        return minter.mint(CLAIMS, subject=ID, audience=AUDIENCE, lifetime=lifetime).token.reveal()


@pytest.fixture(scope="module")
def published() -> Iterator[Published]:
    issuer = Published()

    class DocumentsDoor(Door):
        def reply(self) -> None:
            self.send(200, issuer.answer(self.path), "Connection: close")
            self.close_connection = True

    with OnASocket(DocumentsDoor) as server:
        issuer.url = f"{server.url}/"
        yield issuer


def as_promised(claims: dict[str, Any]) -> bool:
    said = {name: claims[name] for name in ("sub", "aud", "apiKeyType", "projectName")}
    return said == {"sub": ID, "aud": AUDIENCE, "apiKeyType": "oidc", "projectName": 'a "name", ünïcode'}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_pyjwts_jwks_client_verifies_tokens(published: Published, algorithm: Algorithm):
    token = published.token(algorithm)
    key = jwt.PyJWKClient(published.jwks_url).get_signing_key_from_jwt(token)
    required = ["exp", "iat", "nbf", "jti", "sub"]
    claims = jwt.decode(
        token, key, [algorithm.value], audience=AUDIENCE, issuer=published.url, options={"require": required}
    )
    assert as_promised(claims)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("algorithm", Algorithm)
def test_nodes_libraries_verify_tokens(published: Published, algorithm: Algorithm, library: str):
    need_node()
    token = published.token(algorithm)
    assert as_promised(verify(library, issuer=published.url, audience=AUDIENCE, token=token))


def _expired(published: Published) -> tuple[str, str]:
    return published.token(Algorithm.RS256, timedelta(minutes=-10)), AUDIENCE


def _for_others(published: Published) -> tuple[str, str]:
    return published.token(Algorithm.RS256), "https://others.test"


def _changed(published: Published) -> tuple[str, str]:
    head, payload, signature = published.token(Algorithm.RS256).split(".")
    changed = jwt.utils.base64url_decode(payload).replace(b'"apply"', b'"plan2"')
    return f"{head}.{jwt.utils.base64url_encode(changed).decode()}.{signature}", AUDIENCE


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (_expired, "ERR_JWT_EXPIRED|TIMESTAMP_CHECK_FAILED"),
        (_for_others, "aud|CLAIM_COMPARISON_FAILED"),
        (_changed, "SIGNATURE_VERIFICATION_FAILED|OAUTH_INVALID_RESPONSE"),
    ],
    ids=["expired", "for others", "changed"],
)
def test_nodes_libraries_refuse_what_is_wrong(published: Published, library: str, wrong, said: str):
    need_node()
    token, audience = wrong(published)
    with pytest.raises(NodeRefusal, match=said):
        verify(library, issuer=published.url, audience=audience, token=token)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_openbao_finds_the_keys_by_discovery_and_verifies_tokens(
    vault: VaultClient, vault_root: VaultClient, jwt_mount: str, published: Published, algorithm: Algorithm
):
    algorithms = [item.value for item in Algorithm]
    config = {"oidc_discovery_url": published.url, "bound_issuer": published.url, "jwt_supported_algs": algorithms}
    vault_root.write(f"auth/{jwt_mount}/config", config)
    role = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [AUDIENCE], "bound_subject": ID}
    vault_root.write(f"auth/{jwt_mount}/role/run", {**role, "token_type": "batch"})
    login = jwt_login(vault, mount=jwt_mount, role="run", jwt=Secret(published.token(algorithm)))
    assert login
    with pytest.raises(Refusal):
        jwt_login(vault, mount=jwt_mount, role="run", jwt=Secret(_changed(published)[0]))
