"""A sealed file: AES-256-GCM in chunks, each bound to its place, the last one marked (STREAM, Hoang et al. 2015).

    magic | length of the header (4 bytes) | header, JSON | chunk | chunk | … | last chunk

Each chunk is up to 64 KiB with a tag of 16 bytes. Its nonce is a random prefix of the file (7 bytes), its number (4)
and whether it is the last one (1): nothing can be changed, reordered, left out, added or cut off without being noticed.
The key is derived from the secret and the whole header, so a changed header opens nothing.
"""

import hmac
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from runpass.errors import InvalidInput
from runpass.secret import Secret

MAGIC: Final = b"runpass sealed 1\n"
CHUNK_BYTES: Final = 65_536
KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_PREFIX_BYTES: Final = 7
_MAX_HEADER_BYTES: Final = 4096
_SCRYPT_N: Final = 1 << 17
_MAX_SCRYPT_N: Final = 1 << 20
_SCRYPT_R: Final = 8
_MAX_SCRYPT_P: Final = 4
_DAMAGED: Final = "the file does not open"
_HINT: Final = "it is another file's key or passphrase, or the file was changed or cut off"


@dataclass(frozen=True, slots=True)
class FileKey:
    """What a file is sealed with: a passphrase, or 32 random bytes as 64 hex digits."""

    secret: Secret
    is_passphrase: bool


def seal_stream(file: BinaryIO, key: FileKey, content: Iterable[bytes]) -> None:
    """Write content to a file, sealed."""
    header: dict[str, Any] = {"salt": os.urandom(16).hex(), "prefix": os.urandom(_PREFIX_BYTES).hex()}
    if key.is_passphrase:
        header |= {"kdf": "scrypt", "n": _SCRYPT_N, "r": _SCRYPT_R, "p": 1}
    encoded = json.dumps(header, sort_keys=True).encode()
    file.write(MAGIC + len(encoded).to_bytes(4, "big") + encoded)
    aead, prefix = AESGCM(_derived(key, header, encoded)), bytes.fromhex(header["prefix"])
    left, number = bytearray(), 0
    for piece in content:
        left += piece
        while len(left) > CHUNK_BYTES:  # the last chunk is never written here: it has to say that it is the last one
            file.write(aead.encrypt(_nonce(prefix, number, is_last=False), bytes(left[:CHUNK_BYTES]), None))
            del left[:CHUNK_BYTES]
            number += 1
    file.write(aead.encrypt(_nonce(prefix, number, is_last=True), bytes(left), None))


def open_stream(file: BinaryIO, key: FileKey) -> Iterator[bytes]:
    """Give the content of a sealed file, chunk by chunk.

    SECURITY: what is given before the end is authentic, but may be the beginning only. Nothing may be done for good
    with it until the iterator has ended. Raises `InvalidInput` when the file is none, was changed or cut off, or needs
    another key.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise InvalidInput("the file is no backup of runpass")
    encoded = file.read(min(int.from_bytes(file.read(4), "big"), _MAX_HEADER_BYTES))
    header = _parsed(encoded)
    if (header.get("kdf") == "scrypt") != key.is_passphrase:
        kind = "a key file, not with a passphrase" if key.is_passphrase else "a passphrase, not with a key file"
        raise InvalidInput(f"the file was sealed with {kind}")
    aead, prefix = AESGCM(_derived(key, header, encoded)), bytes.fromhex(header["prefix"])
    chunk, number = file.read(CHUNK_BYTES + _TAG_BYTES), 0
    while True:
        following = file.read(CHUNK_BYTES + _TAG_BYTES)
        try:
            yield aead.decrypt(_nonce(prefix, number, is_last=not following), chunk, None)
        except (InvalidTag, ValueError):
            raise InvalidInput(_DAMAGED, hint=_HINT) from None
        if not following:
            return
        chunk, number = following, number + 1


def _parsed(encoded: bytes) -> dict[str, Any]:
    """Give the header. Its numbers are bounded before anything is computed with them."""
    header: dict[str, Any] = {}
    try:
        header = json.loads(encoded)
        salt, prefix = bytes.fromhex(header["salt"]), bytes.fromhex(header["prefix"])
        fits = len(salt) == 16 and len(prefix) == _PREFIX_BYTES  # noqa: PLR2004 -- as it is written above
        if header.get("kdf") == "scrypt":
            n, r, p = (int(header[name]) for name in ("n", "r", "p"))
            fits = fits and 1 < n <= _MAX_SCRYPT_N and n & (n - 1) == 0 and r == _SCRYPT_R and 0 < p <= _MAX_SCRYPT_P
    except (ValueError, KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise InvalidInput(_DAMAGED, hint=_HINT)
    return header


def _derived(key: FileKey, header: dict[str, Any], encoded: bytes) -> bytes:
    secret = key.secret.reveal().encode()
    if key.is_passphrase:
        salt = bytes.fromhex(header["salt"])
        secret = Scrypt(salt=salt, length=KEY_BYTES, n=header["n"], r=header["r"], p=header["p"]).derive(secret)
    else:
        secret = bytes.fromhex(secret.decode())
    return hmac.digest(secret, b"runpass sealed file" + encoded, "sha256")


def _nonce(prefix: bytes, number: int, *, is_last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([is_last])
