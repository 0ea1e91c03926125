"""Which keys may ever be published: one that a Vault cannot parse makes it refuse the whole set, and every login."""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from runpass.server.issuer.algorithms import PublicKey, base64url, public_jwk

_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_BITS: Final = 8192
_MOST_RSA_EXPONENT: Final = 2**31 - 1
"""What Go's crypto/rsa takes, with which Vault checks."""

_CURVES: Final = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def publishable(jwk: Mapping[str, Any]) -> bool:
    """Whether every relying party can read this key: RSA from 2048 bits, P-256, P-384, P-521 or Ed25519.

    It must be exactly what we would write for that key: nothing missing, nothing more (a private half least of all),
    the right `alg`, and the thumbprint as its `kid`.
    """
    try:
        return public_jwk(public_key(jwk)) == dict(jwk)
    except ValueError:
        return False


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """Give the key of a JWK. Raises `ValueError` for one that is not to be published."""
    try:
        match jwk:
            case {"kty": "RSA", "n": str(n), "e": str(e)}:
                return _rsa(_number(n), _number(e))
            case {"kty": "EC", "crv": "P-256" | "P-384" | "P-521" as curve, "x": str(x), "y": str(y)}:
                return ec.EllipticCurvePublicNumbers(_number(x), _number(y), _CURVES[curve]).public_key()
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
                return Ed25519PublicKey.from_public_bytes(_bytes(x))
            case _:
                raise ValueError("a key is of a kind that is not published")
    except (binascii.Error, UnsupportedAlgorithm) as error:
        raise ValueError("a key cannot be read") from error


def public_pem(jwk: Mapping[str, Any]) -> str:
    """Give the key as PEM, for `jwt_validation_pubkeys`. Raises `ValueError` for one that is not to be published."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return public_key(jwk).public_bytes(encoding, form).decode()


def _rsa(n: int, e: int) -> rsa.RSAPublicKey:
    if not _LEAST_RSA_BITS <= n.bit_length() <= _MOST_RSA_BITS or not 1 < e <= _MOST_RSA_EXPONENT:
        raise ValueError("an RSA key is too short, too long, or has an unusual exponent")
    return rsa.RSAPublicNumbers(e, n).public_key()


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(text: str) -> bytes:
    found = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(found) != text:
        raise ValueError("a part of a key is not plain base64url")
    return found
