"""Encryption of columns: AES-256-GCM, bound to the very place a value stands in.

The associated data is table, column, row id, organization id and key id, so that a ciphertext moved to another row,
column or tenant no longer opens (NIST SP 800-38D; the reason Fernet is not used: docs/decisions/0006).
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runpass.errors import ConfigurationError, RunpassError, Unavailable

KEY_BYTES = 32
_FORMAT = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
HEADER_BYTES = len(_FORMAT) + _KEY_ID_BYTES
"""What a stored value begins with: its format, and the id of its master key."""


class CorruptColumn(RunpassError):
    """An encrypted column does not open: changed, moved from another row, or sealed with another master key."""

    code = "corrupt_column"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands. `organization_id` is None for what belongs to the instance, as signing keys do."""

    table: str
    column: str
    row_id: str
    organization_id: UUID | None = None

    def associated_data(self, key_id: bytes) -> bytes:
        """Give an unambiguous encoding: every part preceded by its length."""
        parts = (self.table, self.column, self.row_id, str(self.organization_id or ""), key_id.hex())
        return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    """What is derived from one master key. `key_id` is public."""

    key_id: bytes
    aead: AESGCM
    fingerprint_key: bytes


class Cipher:
    """Seals and opens columns. Opens what was sealed with any of its master keys, and seals with one of them.

    There are two only while the master key is being changed: `previous` is the one that is being left. Which of them
    seals is what the database says (`master_key.follow`), the same for all servers; until somebody asks it, the first.
    """

    def __init__(self, master_key: bytes, previous: bytes | None = None) -> None:
        keys = [_derived(key) for key in (master_key, previous) if key is not None]
        self._keys = {key.key_id.hex(): key for key in keys}
        self._key_id = keys[0].key_id.hex()
        self._sealing: _Key | None = keys[0]

    @property
    def key_id(self) -> str:
        """Give the master key's id: 8 hex digits, safe to show."""
        return self._key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """Give the ids of all master keys that this opens with."""
        return frozenset(self._keys)

    @property
    def sealing_key_id(self) -> str | None:
        """Give the id of the master key that it seals with now; None when it must not seal."""
        return None if self._sealing is None else self._sealing.key_id.hex()

    def seal_with(self, key_id: str) -> None:
        """Seal with this one of its master keys from now on; with one that it does not have, seal nothing."""
        self._sealing = self._keys.get(key_id)

    def seal(self, value: bytes, place: Place) -> bytes:
        """Give the ciphertext to store at this place.

        Raises `Unavailable` when the database went on to a master key that this process was not given.
        """
        key = self._sealing
        if key is None:
            # SECURITY: what is sealed with a key that was left would be lost once that key is removed.
            raise Unavailable("the database went on to another master key than this server has")
        nonce = os.urandom(_NONCE_BYTES)
        sealed = key.aead.encrypt(nonce, value, place.associated_data(key.key_id))
        return _FORMAT + key.key_id + nonce + sealed

    def fingerprints(self, *parts: bytes) -> tuple[bytes, ...]:
        """Give 32 bytes that tell these parts from all others, and nothing of them to whoever lacks the master key.

        One for each master key, that of the key that seals first: what was stored before may be any of them.
        """
        in_order = sorted(self._keys.values(), key=lambda key: key is not self._sealing)
        return tuple(_fingerprint(key, parts) for key in in_order)

    def unseal(self, stored: bytes, place: Place) -> bytes:
        """Give the value back. Raises `CorruptColumn` that names the place, never the content."""
        key_id = sealed_with(stored)
        where = f"{place.table}.{place.column} of {place.row_id}"
        key = self._keys.get(key_id)
        if key is None or not stored.startswith(_FORMAT):
            has = " and ".join(self._keys)
            raise CorruptColumn(f"{where} was sealed with master key {key_id}, this is {has}")
        nonce, sealed = stored[HEADER_BYTES : HEADER_BYTES + _NONCE_BYTES], stored[HEADER_BYTES + _NONCE_BYTES :]
        try:
            return key.aead.decrypt(nonce, sealed, place.associated_data(key.key_id))
        except (InvalidTag, ValueError) as error:
            raise CorruptColumn(f"{where} does not open: it was changed, or moved from another row") from error


def sealed_with(stored: bytes) -> str:
    """Give the id of the master key that a stored value says it was sealed with."""
    return stored[len(_FORMAT) : HEADER_BYTES].hex()


def header(key_id: str) -> bytes:
    """Give how every value begins that was sealed with this master key."""
    return _FORMAT + bytes.fromhex(key_id)


def _derived(master_key: bytes) -> _Key:
    if len(master_key) != KEY_BYTES:
        raise ConfigurationError(f"the master key must be {KEY_BYTES} bytes", hint="runpass server makes one")
    return _Key(
        key_id=hashlib.sha256(b"runpass key id" + master_key).digest()[:_KEY_ID_BYTES],
        aead=AESGCM(hmac.digest(master_key, b"runpass column encryption", "sha256")),
        fingerprint_key=hmac.digest(master_key, b"runpass fingerprints", "sha256"),
    )


def _fingerprint(key: _Key, parts: tuple[bytes, ...]) -> bytes:
    found = hmac.new(key.fingerprint_key, digestmod="sha256")
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()
