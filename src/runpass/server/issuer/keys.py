"""Signing keys and their life: made here, never imported, published before they sign, kept until nothing needs them.

upcoming ──► active ──► retiring ──► gone
published    signs      published    not published, its private half destroyed

Any key that is not gone may become `compromised`: not published, signing nothing, its private half destroyed soon.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from runpass.server.issuer import algorithms
from runpass.server.issuer.algorithms import Algorithm, PrivateKey, generate, public_jwk

IssuerScope = UUID | None
"""Whose keys: None is the issuer that all organizations share, an id is the issuer of that organization alone."""

SHARED: Final[IssuerScope] = None

LONGEST_TOKEN: Final = timedelta(days=1)
"""What `token_lifetime_seconds` may say at most."""


class KeyState(StrEnum):
    """Where a key is in its life. It never goes back."""

    UPCOMING = "upcoming"
    ACTIVE = "active"
    RETIRING = "retiring"
    GONE = "gone"
    COMPROMISED = "compromised"
    """An operator said that somebody else may have it: `runpass.server.issuer.compromise`."""


PUBLISHED: Final = (KeyState.UPCOMING, KeyState.ACTIVE, KeyState.RETIRING)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """All that is known of a key but its private half."""

    kid: str
    algorithm: str
    state: KeyState
    created_at: datetime
    public_jwk: dict[str, str] = field(repr=False)
    issuer: IssuerScope = SHARED
    published_at: datetime | None = None
    """When a server first saw it committed: later than `created_at`, never earlier than anybody could fetch it."""
    activated_at: datetime | None = None
    retired_at: datetime | None = None
    gone_at: datetime | None = None
    last_token_expires_at: datetime | None = None
    """The latest `exp` that it may have signed, known once it is retired."""
    longest_token: timedelta = LONGEST_TOKEN
    """No token that it signs lives longer. Raised before a server signs with a longer lifetime, never lowered."""
    rotation_wanted_at: datetime | None = None
    """When an operator asked for the successor of this active key, ahead of the schedule."""
    confirmation_awaited: bool = False
    """Whether, when it was published, there was somebody of whom it can be known that they have seen it."""
    confirmed_at: datetime | None = None
    """When all of those were known to have seen it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey(KeyRecord):
    """A key with its private half in memory. Its `repr` shows neither half."""

    private_key: PrivateKey = field(repr=False)

    def sign(self, signing_input: bytes) -> bytes:
        """Give the JWS signature."""
        return algorithms.sign(self.private_key, signing_input)

    def private_der(self) -> bytes:
        """Give the private key as PKCS#8 DER. SECURITY: only for encryption at rest."""
        return algorithms.private_der(self.private_key)


def new_key(
    now: datetime,
    algorithm: Algorithm = Algorithm.RS256,
    *,
    issuer: IssuerScope = SHARED,
    state: KeyState = KeyState.ACTIVE,
    longest_token: timedelta = LONGEST_TOKEN,
) -> SigningKey:
    """Give a fresh key. Its `kid` is the RFC 7638 thumbprint, so no two keys can ever share one."""
    private_key = generate(algorithm)
    jwk = public_jwk(private_key.public_key())
    signs_at_once = now if state is KeyState.ACTIVE else None
    return SigningKey(
        kid=jwk["kid"],
        algorithm=jwk["alg"],
        state=state,
        created_at=now,
        public_jwk=jwk,
        issuer=issuer,
        published_at=signs_at_once,
        activated_at=signs_at_once,
        longest_token=longest_token,
        private_key=private_key,
    )
