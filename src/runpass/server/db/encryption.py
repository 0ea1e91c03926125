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

from runpass.errors import ConfigurationError, RunpassError

KEY_BYTES = 32
_FORMAT = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12


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


class Cipher:
    """Seals and opens columns with one master key. Its `key_id` is public and says which key a value needs."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ConfigurationError(f"the master key must be {KEY_BYTES} bytes", hint="runpass server makes one")
        self._aead = AESGCM(hmac.digest(master_key, b"runpass column encryption", "sha256"))
        self._fingerprint_key = hmac.digest(master_key, b"runpass fingerprints", "sha256")
        self._key_id = hashlib.sha256(b"runpass key id" + master_key).digest()[:_KEY_ID_BYTES]

    @property
    def key_id(self) -> str:
        """Give the master key's id: 8 hex digits, safe to show."""
        return self._key_id.hex()

    def seal(self, value: bytes, place: Place) -> bytes:
        """Give the ciphertext to store at this place."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._aead.encrypt(nonce, value, place.associated_data(self._key_id))
        return _FORMAT + self._key_id + nonce + sealed

    def fingerprint(self, *parts: bytes) -> bytes:
        """Give 32 bytes that tell these parts from all others, and nothing of them to whoever lacks the master key."""
        found = hmac.new(self._fingerprint_key, digestmod="sha256")
        for part in parts:
            found.update(len(part).to_bytes(8, "big") + part)
        return found.digest()

    def unseal(self, stored: bytes, place: Place) -> bytes:
        """Give the value back. Raises `CorruptColumn` that names the place, never the content."""
        start = len(_FORMAT) + _KEY_ID_BYTES
        key_id, nonce = stored[len(_FORMAT) : start], stored[start : start + _NONCE_BYTES]
        where = f"{place.table}.{place.column} of {place.row_id}"
        if not stored.startswith(_FORMAT) or key_id != self._key_id:
            raise CorruptColumn(f"{where} was sealed with master key {key_id.hex()}, this is {self.key_id}")
        try:
            return self._aead.decrypt(nonce, stored[start + _NONCE_BYTES :], place.associated_data(key_id))
        except (InvalidTag, ValueError) as error:
            raise CorruptColumn(f"{where} does not open: it was changed, or moved from another row") from error
