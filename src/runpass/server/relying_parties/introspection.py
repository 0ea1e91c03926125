"""Whether a token still counts: it says what was minted, has not expired, and the run that it is of goes on.

`active` means more than a signature can say. A token that was stolen from a run is worthless to whoever asks here from
the moment the run has ended, was aborted, or its runner was lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runpass.clock import Clock
from runpass.server.db.engine import Database
from runpass.server.deployments.live_tokens import goes_on
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.keys import SHARED, IssuerScope
from runpass.server.issuer.ring import KeyRing
from runpass.server.issuer.rings import Rings
from runpass.server.issuer.verifying import verified
from runpass.server.relying_parties.client import authenticate
from runpass.server.relying_parties.model import RelyingParty
from runpass.server.relying_parties.share import PartyShare

TOLD: Final = (
    *("iss", "sub", "aud", "exp", "iat", "jti"),
    *("organizationId", "projectId", "environmentId", "templateId", "deploymentLogId", "runnerId", "credentialId"),
)
"""The claims that are given back: RFC 7662's, and our ids."""


@dataclass(frozen=True, slots=True)
class Introspection:
    """Answers relying parties."""

    database: Database
    clock: Clock
    rings: Rings
    addresses: IssuerAddresses
    audience: str
    """The shared one: that of logins with credentials of the token format `v1`."""
    share: PartyShare

    def ask(self, authorization: str, token: str | None) -> dict[str, Any] | None:
        """Give what may be told of a token that counts; None for every other text.

        Raises `Unauthenticated` unless a relying party asks, `TooManyRequests` for one that asks too often, and
        `Unavailable` when nobody knows which keys are right.
        """
        with self.database.read() as tx:
            party = authenticate(tx, authorization)
        self.share.take(party.id)
        claims = None if token is None else verified(token, self._rings(party))
        if claims is None or not self._counts(claims, party):
            return None
        return {"active": True, **{name: claims[name] for name in TOLD if name in claims}}

    def _counts(self, claims: Mapping[str, Any], party: RelyingParty) -> bool:
        """Whether a token that we signed is for this relying party, has time left, and is of a run that goes on."""
        now = self.clock.now()
        if claims["aud"] not in party.audiences or claims.get("organizationId") != str(party.organization_id):
            return False
        if claims["exp"] <= now.timestamp():
            return False
        with self.database.read() as tx:
            return goes_on(tx, party.organization_id, claims, self.audience, now)

    def _rings(self, party: RelyingParty) -> Mapping[str, KeyRing]:
        """Give the issuers that may have signed for the organization. SECURITY: no other organization's own one."""
        scopes: list[IssuerScope] = [SHARED]
        if self.rings.has_issuer(party.organization_id):
            scopes.append(party.organization_id)
        return {self.addresses.issuer_url(scope): self.rings.ring_for(scope).current for scope in scopes}
