"""Minting: facts in, a signed token out. Pure apart from the key and the clock; whoever calls it keeps the audit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID, uuid4

from runpass.clock import Clock, unix_seconds
from runpass.errors import Unavailable
from runpass.protocol import sweeper
from runpass.secret import Secret
from runpass.server.issuer.algorithms import base64url
from runpass.server.issuer.claims import NONE, OptionalClaims, WorkloadClaims, WrittenClaims, in_json, written_claims
from runpass.server.issuer.keys import IssuerScope
from runpass.server.issuer.ring import RingSource

PROBE_API_KEY_TYPE: Final = "key-probe"
EXPIRED: Final = (datetime.fromtimestamp(1, UTC), datetime.fromtimestamp(2, UTC))


@dataclass(frozen=True, slots=True)
class Minted:
    """A workload identity token and what may be said about it. `token` is a bearer token."""

    token: Secret
    jti: str
    kid: str
    audience: str
    expires_at: datetime
    claims: str = field(repr=False)
    """All that it says, the JSON that was signed. Without the signature it is nobody's bearer."""


class Minter:
    """Signs workload identity tokens of one issuer with its ring's active key.

    That of the shared issuer also knows those of organizations, if this server has any.
    """

    def __init__(
        self, ring: RingSource, issuer_url: str, clock: Clock, own: "Callable[[UUID], Minter] | None" = None
    ) -> None:
        self.ring = ring
        self.issuer_url = issuer_url
        self._clock = clock
        self._own = own

    def of(self, issuer: IssuerScope) -> "Minter":
        """Give the minter of an issuer. SECURITY: there is no falling back from an organization's to the shared one."""
        if issuer is None:
            return self
        if self._own is None:
            raise Unavailable("this server has no issuers of organizations")
        return self._own(issuer)

    def mint(
        self,
        claims: WorkloadClaims,
        *,
        subject: str,
        audience: str,
        lifetime: timedelta,
        optional: OptionalClaims = NONE,
    ) -> Minted:
        """Give a token (RFC 7519; header `typ: JWT`) with exactly one audience, as a string.

        `iat`, `nbf` and `exp` are all present: a relying party that finds one missing makes its own up.
        """
        return self.mint_written(
            written_claims(claims, optional), subject=subject, audience=audience, lifetime=lifetime
        )

    def mint_written(self, claims: WrittenClaims, *, subject: str, audience: str, lifetime: timedelta) -> Minted:
        """Give what `mint` gives, of claims that were written before."""
        issued = self._clock.now().replace(microsecond=0)
        return self._sign(claims, subject, audience, (issued, issued + lifetime))

    def mint_expired(
        self, claims: WorkloadClaims, *, subject: str, audience: str, optional: OptionalClaims = NONE
    ) -> Minted:
        """Give a token that was valid for a second in 1970 and is right in everything else: a probe.

        A Vault that answers "token is expired" has so accepted signature, algorithm, issuer, subject and audience.
        The times cannot be later: `clock_skew_leeway` of a role may be hours.
        """
        return self._sign(written_claims(claims, optional), subject, audience, EXPIRED)

    def mint_probe(self, *, subject: str, audience: str) -> Minted:
        """Give a token that was valid for a second in 1970, with nothing of a run in it.

        What a Vault answers to it says whether the Vault trusts the key.

        SECURITY: it says `exp = 2` for good, so it logs in nowhere, whatever becomes of it.
        """
        claims = WrittenClaims.of({"apiKeyType": PROBE_API_KEY_TYPE})
        return self._sign(claims, subject, audience, EXPIRED)

    def mint_sweeper(self, organization_id: UUID) -> Minted:
        """Give a token of the control plane's own kind, with which tokens that were left behind are revoked.

        SECURITY: subject, audience and `apiKeyType` are others than those of any run, and none of a run's claims is in
        it: neither kind passes at a role that is made for the other.
        """
        claims = {"apiKeyType": sweeper.API_KEY_TYPE, "organizationId": str(organization_id)}
        issued = self._clock.now().replace(microsecond=0)
        subject, audience = sweeper.subject(organization_id), sweeper.audience(organization_id)
        return self._sign(WrittenClaims.of(claims), subject, audience, (issued, issued + sweeper.TOKEN_LIFETIME))

    def _sign(self, claims: WrittenClaims, subject: str, audience: str, valid: tuple[datetime, datetime]) -> Minted:
        key = self.ring.signing
        issued, expires = valid[0], min(valid[1], valid[0] + key.longest_token)  # what the key is kept for
        jti = str(uuid4())
        standard = {
            "iss": self.issuer_url,
            "sub": subject,
            "aud": audience,
            "iat": unix_seconds(issued),
            "nbf": unix_seconds(issued),
            "exp": unix_seconds(expires),
            "jti": jti,
        }
        payload = f"{in_json(standard)[:-1]},{claims.members}}}"
        signing_input = f"{_header(key.algorithm, key.kid)}.{base64url(payload.encode())}"
        token = f"{signing_input}.{base64url(key.sign(signing_input.encode()))}"
        return Minted(Secret(token), jti, key.kid, audience, expires, payload)


@lru_cache(maxsize=64)
def _header(algorithm: str, kid: str) -> str:
    return base64url(in_json({"alg": algorithm, "kid": kid, "typ": "JWT"}).encode())
