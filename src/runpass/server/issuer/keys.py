"""Signing keys: made here, never imported. RS256 with 2048 bits, which every relying party takes."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

RS256: Final = "RS256"
RSA_BITS: Final = 2048


class KeyState(StrEnum):
    """Where a key is in its life. More states come with rotation."""

    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with its private half in memory. Its `repr` shows neither half."""

    kid: str
    algorithm: str
    state: KeyState
    created_at: datetime
    public_jwk: dict[str, str] = field(repr=False)
    private_key: rsa.RSAPrivateKey = field(repr=False)

    def sign(self, signing_input: bytes) -> bytes:
        """Give the JWS signature (RFC 7518, section 3.3: RSASSA-PKCS1-v1_5 with SHA-256)."""
        return self.private_key.sign(signing_input, padding.PKCS1v15(), hashes.SHA256())

    def private_der(self) -> bytes:
        """Give the private key as PKCS#8 DER. SECURITY: only for encryption at rest."""
        return self.private_key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def new_key(now: datetime) -> SigningKey:
    """Give a fresh active key. Its `kid` is the RFC 7638 thumbprint, so no two keys can ever share one."""
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    jwk = public_jwk(private_key.public_key())
    return SigningKey(jwk["kid"], RS256, KeyState.ACTIVE, now, jwk, private_key)


def load_private(der: bytes) -> rsa.RSAPrivateKey:
    """Give the private key from PKCS#8 DER."""
    key = serialization.load_der_private_key(der, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a stored signing key is not an RSA key")
    return key


def public_jwk(key: rsa.RSAPublicKey) -> dict[str, str]:
    """Give the public JWK (RFC 7517; RFC 7518, section 6.3.1) with `kid`, `use` and `alg`."""
    numbers = key.public_numbers()
    required = {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}
    return {**required, "kid": _thumbprint(required), "use": "sig", "alg": RS256}


def base64url(data: bytes) -> str:
    """Give base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _integer(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _thumbprint(required: dict[str, str]) -> str:
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    return base64url(hashlib.sha256(canonical).digest())
