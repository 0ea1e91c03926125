"""Whether a text is a token that an issuer of ours signed: the strictest reading of RFC 7515's compact form. Pure.

SECURITY: only what `minting` writes is taken. The header has exactly its three members, so there is no `crit`, no `jku`
and no key in it; the key is one that is published, and its own algorithm is the only one that is tried.
"""

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from runpass.server.issuer.algorithms import PublicKey, base64url
from runpass.server.issuer.keys import KeyRecord
from runpass.server.issuer.publishable import public_key
from runpass.server.issuer.ring import KeyRing

MOST_CHARACTERS: Final = 16_384
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]{1,15000})\.([A-Za-z0-9_-]{1,1100})")
_P256_BYTES: Final = 32
_TEXTS: Final = ("iss", "sub", "aud", "jti")
_MOMENTS: Final = ("iat", "exp")


def verified(token: str, rings: Mapping[str, KeyRing]) -> dict[str, Any] | None:
    """Give the claims of a token that one of these issuers (`iss` → its ring) signed; None for every other text.

    Times are not looked at; those that a token of ours has are whole seconds.
    """
    parts = _COMPACT.fullmatch(token) if len(token) <= MOST_CHARACTERS else None
    if parts is None:
        return None
    header = _object(parts[1])
    found = None if header is None else _key(header, rings)
    if found is None or not _is_signed(token, parts[3], found[1]):
        return None
    claims = _object(parts[2])
    if claims is None or claims.get("iss") != found[0]:  # a key signs for one issuer only
        return None
    texts = all(isinstance(claims.get(name), str) for name in _TEXTS)
    return claims if texts and all(type(claims.get(name)) is int for name in _MOMENTS) else None


def _key(header: dict[str, Any], rings: Mapping[str, KeyRing]) -> tuple[str, KeyRecord] | None:
    """Give the key that the header names, and the issuer that it signs for."""
    for issuer, ring in rings.items():
        for key in ring.keys:
            if header == {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}:
                return issuer, key
    return None


def _is_signed(token: str, encoded: str, key: KeyRecord) -> bool:
    signature = _bytes(encoded)
    if signature is None:
        return False
    try:
        _check(public_key(key.public_jwk), signature, token.rpartition(".")[0].encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _check(key: PublicKey, signature: bytes, signed: bytes) -> None:
    """Raise `InvalidSignature` or `ValueError` unless this is the key's signature, in the form that `sign` gives."""
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, Ed25519PublicKey):
        key.verify(signature, signed)
    elif isinstance(key.curve, ec.SECP256R1) and len(signature) == 2 * _P256_BYTES:
        r, s = (int.from_bytes(half, "big") for half in (signature[:_P256_BYTES], signature[_P256_BYTES:]))
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    else:
        raise InvalidSignature


def _object(part: str) -> dict[str, Any] | None:
    content = _bytes(part)
    try:
        value = None if content is None else json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _bytes(part: str) -> bytes | None:
    """Give what base64url without padding says; None unless it is spelled the one right way."""
    try:
        found = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        return None
    return found if base64url(found) == part else None
