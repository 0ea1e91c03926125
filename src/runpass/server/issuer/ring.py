"""The key ring: the keys that one issuer publishes at one moment, and the one that signs. Replaced, never changed."""

from dataclasses import dataclass
from typing import Protocol

from runpass.errors import Unavailable
from runpass.server.issuer.keys import KeyRecord, KeyState, SigningKey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys that are published, and the one that signs, which alone has its private half here.

    `withheld` are keys that are stored as published ones and are not fit for it: nobody gets to see them.
    """

    keys: tuple[KeyRecord, ...]
    withheld: tuple[KeyRecord, ...] = ()

    @property
    def current(self) -> "KeyRing":
        """Give itself: a ring is a source of rings that never changes."""
        return self

    @property
    def signing(self) -> SigningKey:
        """Give the key that signs. Raises `Unavailable` when there is none: then there is no token."""
        for key in self.keys:
            if key.state is KeyState.ACTIVE and isinstance(key, SigningKey):
                return key
        raise Unavailable("there is no active signing key")

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Give the JWK Set to publish (RFC 7517, section 5): public halves only."""
        return {"keys": [key.public_jwk for key in self.keys]}


class RingSource(Protocol):
    """Where the ring of one issuer comes from, as it is at the moment of asking."""

    @property
    def current(self) -> KeyRing:
        """Give the ring to publish. Raises `Unavailable` when it may not be right any more."""
        ...

    @property
    def signing(self) -> SigningKey:
        """Give the key to sign with. Raises `Unavailable` when there is none, or it may not be right any more."""
        ...
