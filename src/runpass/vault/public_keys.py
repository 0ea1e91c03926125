"""A JWK Set as the PEM that a Vault takes for `jwt_validation_pubkeys`. Pure."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from runpass.errors import ControlPlaneError, InvalidInput

MOST_KEYS: Final = 64
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_KINDS: Final = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


def from_jwks(body: bytes) -> tuple[str, ...]:
    """Give every key of a JWK Set (RFC 7517) as PEM, sorted.

    Raises `ControlPlaneError` for what is no set, for an empty one, and for a key that a Vault could not use: a key
    that is silently left out would refuse the tokens that it signs.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise ControlPlaneError("the issuer's key set is not one", hint="It is JSON with a list of keys in it.")
    return tuple(sorted(_pem(_key(item, number)) for number, item in enumerate(keys)))


def from_pem(text: str, what: str) -> tuple[str, ...]:
    """Give the public keys of a PEM file, sorted. Raises `InvalidInput` for one that is none."""
    blocks = [f"{block}-----END PUBLIC KEY-----\n" for block in text.split("-----END PUBLIC KEY-----")[:-1]]
    try:
        found = [load_pem_public_key(block.strip().encode()) for block in blocks]
    except (ValueError, TypeError):
        found = []
    keys = [key for key in found if isinstance(key, _KINDS)]
    if not blocks or len(keys) != len(blocks):
        raise InvalidInput.of(what, "must be public keys in PEM (BEGIN PUBLIC KEY): RSA, EC or Ed25519")
    return tuple(sorted(_pem(key) for key in keys))


def _key(jwk: object, number: int) -> PublicKey:
    if not isinstance(jwk, dict):
        raise _unusable(number)
    try:
        match jwk.get("kty"):
            case "RSA":
                return rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
            case "EC":
                curve = _CURVES[jwk["crv"]]
                return ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), curve).public_key()
            case "OKP" if jwk.get("crv") == "Ed25519":
                return ed25519.Ed25519PublicKey.from_public_bytes(_octets(jwk["x"]))
            case _:
                raise _unusable(number)
    except (KeyError, ValueError, TypeError):
        raise _unusable(number) from None


def _unusable(number: int) -> ControlPlaneError:
    return ControlPlaneError(
        f"key {number + 1} of the issuer's key set is none that a Vault could use",
        hint="A Vault takes RSA, EC (P-256, P-384, P-521) and Ed25519.",
    )


def _number(text: Any) -> int:
    return int.from_bytes(_octets(text), "big")


def _octets(text: Any) -> bytes:
    return base64.b64decode(f"{text}{'=' * (-len(text) % 4)}", altchars=b"-_", validate=True)


def _pem(key: PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()
