"""Minting: facts in, a signed token out. Pure apart from the key and the clock; whoever calls it keeps the audit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from runpass.clock import Clock, unix_seconds
from runpass.secret import Secret
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.keys import base64url
from runpass.server.issuer.ring import KeyRing


@dataclass(frozen=True, slots=True)
class Minted:
    """A workload identity token and what may be said about it. `token` is a bearer token."""

    token: Secret
    jti: str
    kid: str
    audience: str
    expires_at: datetime


class Minter:
    """Signs workload identity tokens with the ring's active key."""

    def __init__(self, ring: KeyRing, issuer_url: str, clock: Clock) -> None:
        self.ring = ring
        self._issuer_url = issuer_url
        self._clock = clock

    def mint(self, claims: WorkloadClaims, *, subject: str, audience: str, lifetime: timedelta) -> Minted:
        """Give a token (RFC 7519; header `typ: JWT`) with exactly one audience, as a string.

        `iat`, `nbf` and `exp` are all present: a relying party that finds one missing makes its own up.
        """
        key = self.ring.signing
        issued = self._clock.now().replace(microsecond=0)
        expires = issued + lifetime
        jti = str(uuid4())
        payload = {
            "iss": self._issuer_url,
            "sub": subject,
            "aud": audience,
            "iat": unix_seconds(issued),
            "nbf": unix_seconds(issued),
            "exp": unix_seconds(expires),
            "jti": jti,
            **claims.as_mapping(),
        }
        header = {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}
        signing_input = f"{_part(header)}.{_part(payload)}"
        token = f"{signing_input}.{base64url(key.sign(signing_input.encode()))}"
        return Minted(Secret(token), jti, key.kid, audience, expires)


def _part(value: Mapping[str, object]) -> str:
    return base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode())
