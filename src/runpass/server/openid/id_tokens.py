"""Checking an ID Token completely (OpenID Connect Core 1.0, section 3.1.3.7), and what it tells of somebody."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from runpass.clock import Clock
from runpass.errors import Unauthenticated
from runpass.secret import Secret
from runpass.server.openid.provider import Provider, Tokens

LEEWAY_SECONDS: Final = 60
MOST_GROUPS: Final = 2000
_LONGEST: Final = 65_536
_LONGEST_SUBJECT: Final = 255
_LONGEST_EMAIL: Final = 254
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
"""HTML's valid e-mail address (HTML, section 4.10.5.1.5), but for the lengths of labels."""
_KEY_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class NotProved(Unauthenticated):
    """The provider's answer does not prove who somebody is; the message says what is wrong, for the log."""


@dataclass(frozen=True, slots=True)
class Proved:
    """Whom the provider vouches for."""

    issuer: str
    subject: str
    name: str
    groups: frozenset[str]
    verified_email: str | None = None
    """An address that the ID Token itself calls verified."""


class IdTokens:
    """Says who somebody is, from the tokens of a sign-in."""

    def __init__(self, provider: Provider, groups_claim: str, clock: Clock) -> None:
        self._provider = provider
        self._groups_claim = groups_claim
        self._clock = clock

    def proved(self, tokens: Tokens, nonce: str) -> Proved:
        """Give whom the provider vouches for. Raises `NotProved` or `ProviderFailed`."""
        claims = self._verified(tokens, nonce)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
            raise NotProved("sub is none")
        # SECURITY: before the userinfo is put in, so that address and verdict are of one answer.
        email = verified_email_of(claims)
        if self._groups_claim not in claims and tokens.access_token is not None:
            claims = self._with_userinfo(claims, subject, tokens.access_token)
        groups = _groups(claims.get(self._groups_claim))
        return Proved(self._provider.issuer, subject, _name(claims), groups, email)

    def _verified(self, tokens: Tokens, nonce: str) -> dict[str, Any]:
        id_token = tokens.id_token.reveal()
        if len(id_token) > _LONGEST or not id_token.isascii():
            raise NotProved("the ID Token is none")
        try:
            header = jws.extract_compact(id_token.encode()).headers()
            algorithm = header.get("alg")
            if algorithm not in self._provider.metadata().algorithms:
                raise NotProved("alg is not allowed")
            key = JWKRegistry.import_key(self._key(algorithm, header.get("kid")))
            token = jwt.decode(id_token, key, algorithms=[algorithm])
            self._check(token, tokens, nonce)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotProved(f"the ID Token: {_what(error)}") from error
        return dict(token.claims)

    def _check(self, token: jwt.Token, tokens: Tokens, nonce: str) -> None:
        provider = self._provider
        options = {
            "iss": {"essential": True, "value": provider.issuer},
            "aud": {"essential": True, "value": provider.client_id},
            "sub": {"essential": True},
            "nonce": {"essential": True},
        }
        params = {"nonce": nonce, "client_id": provider.client_id}
        if tokens.access_token is not None:
            params["access_token"] = tokens.access_token.reveal()
        checked = CodeIDToken(token.claims, token.header, options, params)
        checked.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY_SECONDS)
        # SECURITY: said again in our own words, so that no change of a library loosens what matters most.
        said = token.claims
        if said.get("iss") != provider.issuer or not hmac.compare_digest(str(said.get("nonce")), nonce):
            raise ValueError("iss or nonce")

    def _key(self, algorithm: str, kid: object) -> dict[str, Any]:
        """Give the one key that can be meant; a key id that nobody knows has the keys fetched again, once."""
        for again in (False, True):
            found = [key for key in self._provider.keys(again=again) if _fits(key, algorithm, kid)]
            if len(found) == 1:
                return found[0]
        raise NotProved("no key of the provider's fits, or more than one")

    def _with_userinfo(self, claims: dict[str, Any], subject: str, access_token: Secret) -> dict[str, Any]:
        more = self._provider.userinfo(access_token)
        if more is None:
            return claims
        if more.get("sub") != subject:  # SECURITY: Core, section 5.3.2: else it may tell of somebody else
            raise NotProved("the userinfo is somebody else's")
        return {**more, **claims}


def verified_email_of(claims: Mapping[str, Any]) -> str | None:
    """Give the address that these claims call verified (OpenID Connect Core 1.0, section 5.1), or nothing.

    SECURITY: `email_verified` counts as the boolean alone, not as a text such as "false", which is true to a program.
    An address that a person could take for another one (spaces, control characters, other alphabets) is none.
    """
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        return None
    return email if len(email) <= _LONGEST_EMAIL and _EMAIL.fullmatch(email) else None


def _fits(key: Mapping[str, Any], algorithm: str, kid: object) -> bool:
    if key.get("kty") != _KEY_TYPES[algorithm[:2]] or key.get("use", "sig") != "sig":
        return False
    return key.get("alg", algorithm) == algorithm and (kid is None or key.get("kid") == kid)


def _name(claims: Mapping[str, Any]) -> str:
    for claim in ("name", "preferred_username", "email", "sub"):
        found = claims.get(claim)
        if isinstance(found, str) and found.strip() and found.isprintable():
            return found.strip()[:_LONGEST_SUBJECT]
    return "somebody"


def _groups(said: object) -> frozenset[str]:
    listed = [said] if isinstance(said, str) else said
    if not isinstance(listed, list) or len(listed) > MOST_GROUPS:
        return frozenset()
    return frozenset(item for item in listed if isinstance(item, str))


def _what(error: Exception) -> str:
    """Give what is wrong without any value of the token's."""
    claim = getattr(error, "claim", None)
    return f"{type(error).__name__} {claim}" if isinstance(claim, str) else type(error).__name__
