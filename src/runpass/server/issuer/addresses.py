"""Where issuers are: the shared one, and that of each organization that has one of its own.

An organization's issuer is `<where the shared documents are>/o/<organization id>/`, with the trailing slash, byte for
byte as in `iss`, in the discovery document and in what a Vault must bind. A relying party takes one trailing slash away
before it appends `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0, section 4.1). It is always below
the public URL, also where the shared issuer is a foreign one.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from runpass.server.http.limiting import INTROSPECTION_PATH
from runpass.server.issuer.keys import IssuerScope
from runpass.server.settings import ServerSettings

JWKS: Final = ".well-known/jwks.json"
OWN: Final = "/o"
"""Below this path are the issuers of organizations."""


@dataclass(frozen=True, slots=True)
class IssuerAddresses:
    """The addresses of all issuers of a server."""

    shared_url: str
    shared_jwks_url: str
    introspection_url: str | None = None
    """Where relying parties ask whether a token counts, the same for all issuers."""

    def issuer_url(self, issuer: IssuerScope) -> str:
        """Give the `iss` of an issuer's tokens."""
        return self.shared_url if issuer is None else self._own(issuer)

    def jwks_url(self, issuer: IssuerScope) -> str:
        """Give where an issuer's keys are fetched."""
        return self.shared_jwks_url if issuer is None else f"{self._own(issuer)}{JWKS}"

    def _own(self, organization_id: UUID) -> str:
        return f"{self.shared_jwks_url.removesuffix('/' + JWKS)}{OWN}/{organization_id}/"


def addresses_of(settings: ServerSettings) -> IssuerAddresses:
    """Give the addresses that follow from a server's settings."""
    return IssuerAddresses(settings.issuer_url, settings.jwks_url, f"{settings.public_url}{INTROSPECTION_PATH}")
