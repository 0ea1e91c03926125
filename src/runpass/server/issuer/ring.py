"""The key ring: the signing keys of this process, loaded once and kept in memory."""

from dataclasses import dataclass

from runpass.clock import Clock
from runpass.errors import Conflict, Unavailable
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database
from runpass.server.issuer import store
from runpass.server.issuer.keys import KeyState, SigningKey, new_key


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys that are published, and the one that signs."""

    keys: tuple[SigningKey, ...]

    @property
    def signing(self) -> SigningKey:
        """Give the key that signs. Raises `Unavailable` when there is none: then there is no token."""
        for key in self.keys:
            if key.state is KeyState.ACTIVE:
                return key
        raise Unavailable("there is no active signing key")

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Give the JWK Set to publish (RFC 7517, section 5): public halves only."""
        return {"keys": [key.public_jwk for key in self.keys]}


def open_ring(database: Database, cipher: Cipher, clock: Clock) -> KeyRing:
    """Give the key ring; the first start of all makes the first key.

    The key is generated outside the transaction, and another server may have been faster: then its key is used.
    """
    with database.read() as tx:
        keys = store.load_keys(tx, cipher)
    if keys:
        return KeyRing(keys)
    key = new_key(clock.now())
    try:
        with database.write() as tx:
            store.insert_key(tx, cipher, key)
            record(tx, AuditEvent(key.created_at, "system", "signing_key.created", "signing_key", key.kid))
    except Conflict:
        pass
    with database.read() as tx:
        return KeyRing(store.load_keys(tx, cipher))
