"""The provider: what it says of itself, its keys, and the two questions that we ask it.

Documents and keys are kept for ten minutes. A key that nobody knows has the keys fetched again, once, and not twice
within ten seconds, so that made-up key ids do not become a load on the provider.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote_plus

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import get_well_known_url

from runpass.clock import Clock
from runpass.secret import Secret
from runpass.server.openid.transport import ProviderFailed, Transport, is_safe
from runpass.server.settings import ServerSettings

KEPT: Final = timedelta(minutes=10)
SELDOM: Final = timedelta(seconds=10)
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""SECURITY: asymmetric ones alone. With a symmetric one, our own client secret could sign."""
CALLBACK: Final = "/console/sign-in/callback"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What we use of the provider's document (OpenID Connect Discovery 1.0, section 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]
    names_itself: bool
    """Whether each answer carries `iss` (RFC 9207, section 3)."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the provider gives for a code."""

    id_token: Secret
    access_token: Secret | None


class Provider:
    """One provider. Threads may share it; what two of them fetch at the same time is the same."""

    def __init__(self, settings: ServerSettings, client_secret: Secret | None, clock: Clock) -> None:
        self.issuer = settings.openid_issuer
        self.client_id = settings.openid_client_id
        self.redirect_uri = f"{settings.public_url}{CALLBACK}"
        self._settings = settings
        self._secret = client_secret
        self._clock = clock
        self._transport = Transport(ca_file=settings.openid_ca_file, is_https=self.issuer.startswith("https:"))
        self._metadata: tuple[Metadata, datetime] | None = None
        self._keys: tuple[list[dict[str, Any]], datetime] | None = None

    def authorization_url(self, *, state: str, nonce: str, verifier: Secret) -> str:
        """Give where the browser is sent. Raises `ProviderFailed`."""
        url: str = prepare_grant_uri(
            self.metadata().authorization_endpoint,
            self.client_id,
            "code",
            redirect_uri=self.redirect_uri,
            scope=self._settings.openid_scopes,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier.reveal()),
            code_challenge_method="S256",
        )
        return url

    def metadata(self) -> Metadata:
        """Give what the provider says of itself. Raises `ProviderFailed`."""
        now = self._clock.now()
        if self._metadata is not None and now - self._metadata[1] < KEPT:
            return self._metadata[0]
        document = self._transport.json("GET", get_well_known_url(self.issuer, external=True))
        found = self._parsed(document)
        self._metadata = (found, now)
        return found

    def keys(self, *, again: bool = False) -> list[dict[str, Any]]:
        """Give the provider's public keys as they stand in its key set. Raises `ProviderFailed`."""
        now = self._clock.now()
        if self._keys is not None and now - self._keys[1] < (SELDOM if again else KEPT):
            return self._keys[0]
        listed = self._transport.json("GET", self.metadata().jwks_uri).get("keys")
        if not isinstance(listed, list):
            raise ProviderFailed("the provider's key set has no keys")
        found = [key for key in listed if isinstance(key, dict) and key.get("kty") in {"RSA", "EC", "OKP"}]
        self._keys = (found, now)
        return found

    def redeem(self, code: Secret, verifier: Secret) -> Tokens:
        """Give the tokens for a code (RFC 6749, section 4.1.3). Raises `ProviderFailed`."""
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier.reveal(),
        }
        headers = {}
        if self._secret is None:
            form["client_id"] = self.client_id
        else:
            headers["Authorization"] = _basic(self.client_id, self._secret)
        answer = self._transport.json("POST", self.metadata().token_endpoint, headers=headers, form=form)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str):
            raise ProviderFailed("the provider gave no ID Token")
        return Tokens(Secret(id_token), Secret(access_token) if isinstance(access_token, str) else None)

    def userinfo(self, access_token: Secret) -> dict[str, Any] | None:
        """Give what the provider says of whoever it is (OpenID Connect Core 1.0, section 5.3); None if it cannot."""
        where = self.metadata().userinfo_endpoint
        if where is None or not access_token.reveal().isprintable() or not access_token.reveal().isascii():
            return None
        return self._transport.json("GET", where, headers={"Authorization": f"Bearer {access_token.reveal()}"})

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _parsed(self, document: dict[str, Any]) -> Metadata:
        # SECURITY: compared byte by byte: else one provider could speak for another (Discovery, section 4.3).
        if document.get("issuer") != self.issuer:
            raise ProviderFailed("the provider's document names another issuer than openid_issuer")
        said = document.get("id_token_signing_alg_values_supported", ["RS256"])
        algorithms = tuple(item for item in ALGORITHMS if isinstance(said, list) and item in said)
        if not algorithms:
            raise ProviderFailed("the provider signs with no algorithm that is taken here")
        return Metadata(
            authorization_endpoint=self._address(document, "authorization_endpoint"),
            token_endpoint=self._address(document, "token_endpoint"),
            jwks_uri=self._address(document, "jwks_uri"),
            userinfo_endpoint=self._address(document, "userinfo_endpoint") if "userinfo_endpoint" in document else None,
            algorithms=algorithms,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _address(self, document: dict[str, Any], name: str) -> str:
        url = document.get(name)
        # SECURITY: with an address of ours, our own tokens could become somebody's ID Tokens.
        if not isinstance(url, str) or not is_safe(url) or self._settings.is_ours(url):
            raise ProviderFailed(f"the provider's document has no {name} that can be used")
        return url


def _basic(client_id: str, secret: Secret) -> str:
    """Give the header of a client that has a secret (RFC 6749, section 2.3.1: both are form-encoded first)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.reveal())}"
    return f"Basic {b64encode(pair.encode()).decode()}"
