"""A small issuer for tests of logins: its own key, its own JWKS on a real socket. Not runpass's issuer."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from fake_servers import Door, OnASocket
from runpass.secret import Secret

AUDIENCE = "https://runpass.test"
ABSENT = object()


class ThrowawayIssuer:
    """`token(claim=...)` mints; `status` and `body` change what the JWKS door answers; `fetches` counts."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.kid = uuid4().hex
        self.url = ""
        self.status = 200
        self.body: bytes | None = None
        self.fetches = 0
        self.facts = {name: str(uuid4()) for name in ("organizationId", "projectId", "environmentId", "credentialId")}

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/jwks"

    def jwks(self) -> bytes:
        public = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "ES256"}]}).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "run",
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": uuid4().hex,
            "apiKeyType": "oidc",
            "deploymentLogId": str(uuid4()),
            "deploymentType": "deploy",
            **self.facts,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ABSENT}

    def token(self, *, key: Any = None, kid: str | None = None, **changes: Any) -> Secret:
        headers = {"kid": kid or self.kid}
        return Secret(jwt.encode(self.claims(**changes), key or self.key, algorithm="ES256", headers=headers))


@contextmanager
def throwaway_issuer() -> Iterator[ThrowawayIssuer]:
    issuer = ThrowawayIssuer()

    class JwksDoor(Door):
        def reply(self) -> None:
            issuer.fetches += 1
            self.send(issuer.status, issuer.jwks() if issuer.body is None else issuer.body, "Connection: close")
            self.close_connection = True

    with OnASocket(JwksDoor) as server:
        issuer.url = server.url
        yield issuer
