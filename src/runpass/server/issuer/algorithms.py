"""The signature algorithms of signing keys: making keys, signing, and the form of a public key as a JWK.

Specifications: RFC 7515, 7517, 7518, 8037.
"""

import base64
import hashlib
import json
from enum import StrEnum
from typing import Final, assert_never

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

RSA_BITS: Final = 2048
_SHA256: Final = hashes.SHA256()
_PKCS1: Final = padding.PKCS1v15()
_ECDSA: Final = ec.ECDSA(_SHA256)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey


class Algorithm(StrEnum):
    """What new keys sign with, by its name in `alg`: Vault refuses RFC 9864's name `Ed25519`."""

    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


CURVES: Final = {
    "secp256r1": ("P-256", "ES256", 32),
    "secp384r1": ("P-384", "ES384", 48),
    "secp521r1": ("P-521", "ES512", 66),
}
"""By cryptography's name of the curve: `crv`, `alg`, and the bytes of a coordinate (RFC 7518, section 6.2.1)."""


def generate(algorithm: Algorithm) -> PrivateKey:
    """Give a fresh private key."""
    match algorithm:
        case Algorithm.RS256:
            return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        case Algorithm.ES256:
            return ec.generate_private_key(ec.SECP256R1())
        case Algorithm.EDDSA:
            return Ed25519PrivateKey.generate()
        case _:
            assert_never(algorithm)


def sign(key: PrivateKey, signing_input: bytes) -> bytes:
    """Give the JWS signature: RFC 7518, section 3.3 (PKCS #1 v1.5) or 3.4 (raw r and s); RFC 8037, section 3.1."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signing_input, _PKCS1, _SHA256)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(signing_input)
    r, s = decode_dss_signature(key.sign(signing_input, _ECDSA))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def private_der(key: PrivateKey) -> bytes:
    """Give the private key as PKCS#8 DER. SECURITY: only for encryption at rest."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_private(der: bytes) -> PrivateKey:
    """Give the private key from PKCS#8 DER. Raises `TypeError` for a kind that nothing here can sign with."""
    key = serialization.load_der_private_key(der, password=None)
    if isinstance(key, rsa.RSAPrivateKey | Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise TypeError("a stored signing key is of a kind that is not used here")


def public_jwk(key: PublicKey) -> dict[str, str]:
    """Give the public JWK with `kid`, `use` and `alg`; `kid` is the RFC 7638 thumbprint."""
    required, algorithm = _required(key)
    return {**required, "kid": _thumbprint(required), "use": "sig", "alg": algorithm}


def _required(key: PublicKey) -> tuple[dict[str, str], str]:
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}, "RS256"
    if isinstance(key, Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": base64url(key.public_bytes_raw())}, "EdDSA"
    curve, algorithm, size = CURVES[key.curve.name]
    point = key.public_numbers()
    x, y = (base64url(number.to_bytes(size, "big")) for number in (point.x, point.y))
    return {"crv": curve, "kty": "EC", "x": x, "y": y}, algorithm


def base64url(data: bytes) -> str:
    """Give base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _integer(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _thumbprint(required: dict[str, str]) -> str:
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    return base64url(hashlib.sha256(canonical).digest())
