"""A small issuer for tests of logins: its own key, its own JWKS on a real socket. Not runpass's issuer."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

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

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetches += 1
            body = issuer.jwks() if issuer.body is None else issuer.body
            head = f"HTTP/1.1 {issuer.status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.wfile.write(head.encode() + body)  # one write: two would wait for a delayed acknowledgement
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
