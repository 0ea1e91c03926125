"""Reading public keys (RFC 7517) as go-jose does, one that cannot be read with its sentence. Pure.

A key that is read and yet of no use (a symmetric or a private one, an RSA key that is too short) verifies nothing.
"""

import binascii
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import load_der_x509_certificate

from runpass.vault.explain.go_json import kind

CURVES: Final[Mapping[str, tuple[ec.EllipticCurve, str, int]]] = {
    "P-256": (ec.SECP256R1(), "ES256", 32),
    "P-384": (ec.SECP384R1(), "ES384", 48),
    "P-521": (ec.SECP521R1(), "ES512", 66),
}
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_STANDARD: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_TEXTS: Final = ("use", "kty", "kid", "crv", "alg", "x5u", "x5t", "x5t#S256")
_BYTES: Final = ("k", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi")
_THUMBPRINTS: Final = (("x5t", 20), ("x5t#S256", 32))
_SMALLEST_RSA: Final = 1024
_ED25519_BYTES: Final = 32
_JOSE: Final = "go-jose/go-jose: "

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class UnusableKeys(ValueError):
    """A key, or a set of them, that the server cannot parse; `str()` is its sentence."""

    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key and the id that it is published under."""

    key_id: str
    public: PublicKey | None
    """None for a key that verifies nothing."""


def base64url(part: str) -> bytes:
    """Give the bytes of base64url without padding. Raises `ValueError` with the place that Go names."""
    content = part.encode()
    for place, character in enumerate(content):
        if character not in _ALPHABET:
            raise ValueError(f"illegal base64 data at input byte {place}")
    if len(content) % 4 == 1:
        raise ValueError(f"illegal base64 data at input byte {len(content) - 1}")
    return urlsafe_b64decode(content + b"=" * (-len(content) % 4))


def keys_of(jwks: Mapping[str, Any]) -> tuple[Key, ...]:
    """Give the keys of a set. Raises `UnusableKeys` where one of them spoils the set for the server."""
    found = [value for name, value in jwks.items() if name.lower() == "keys"]
    if not found or found[-1] is None:
        return ()
    if not isinstance(found[-1], list):
        word = kind(found[-1])
        raise UnusableKeys(f"json: cannot unmarshal {word} into Go struct field .keys of type []jose.JSONWebKey")
    return tuple(map(_read, found[-1]))


def _read(item: Any) -> Key:
    try:
        return read_key(item)
    except UnusableKeys as error:
        error.key_id = str(item.get("kid") or "") if isinstance(item, Mapping) else ""
        raise


def read_key(item: Any, *, old: bool = False) -> Key:
    """Give a key; `old` is how the library's version 3 reads it. Raises `UnusableKeys`."""
    if item is None:
        item = {}
    if not isinstance(item, Mapping):
        raise UnusableKeys(f"json: cannot unmarshal {kind(item)} into Go value of type jose.rawJSONWebKey")
    parts = _parts(item, old=old)
    certificate = _certificate(item.get("x5c"))
    key = _public(item, parts, old=old)
    if certificate is not None and key is not None and certificate != key:
        raise UnusableKeys(f"{_JOSE}invalid JWK, public keys in key and x5c fields do not match")
    _check_thumbprints(item)
    return Key(item.get("kid") or "", None if "d" in parts else key)


def _parts(item: Mapping[str, Any], *, old: bool) -> dict[str, bytes]:
    """Give the members that are bytes. A byte that is none is told before any wrong type."""
    found = {name: _bytes(item[name], old=old) for name in item if name in _BYTES and item[name] is not None}
    for name, value in item.items():
        if value is not None and (wrong := _TYPES.get(name, _anything)(value)):
            raise UnusableKeys(wrong)
    return found


def _bytes(value: Any, *, old: bool) -> bytes:
    if not isinstance(value, str):
        raise UnusableKeys(_not_text(value))
    try:
        return base64url(value.rstrip("=") if old else value)
    except ValueError as error:
        raise UnusableKeys(str(error)) from None


def _not_text(value: Any) -> str:
    return "" if isinstance(value, str) else f"json: cannot unmarshal {kind(value)} into Go value of type string"


def _not_texts(value: Any) -> str:
    if not isinstance(value, list):
        return f"json: cannot unmarshal {kind(value)} into Go value of type []string"
    return next(filter(None, (_not_text(item) for item in value if item is not None)), "")


def _anything(_value: Any) -> str:
    return ""


_TYPES: Final[Mapping[str, Callable[[Any], str]]] = {**dict.fromkeys(_TEXTS, _not_text), "x5c": _not_texts}


def check_chain(chain: Any) -> None:
    """Raise `UnusableKeys` for certificates (`x5c`) that cannot be read."""
    wrong = "" if chain is None else _not_texts(chain)
    if wrong:
        raise UnusableKeys(wrong)
    for item in chain or ():
        try:
            load_der_x509_certificate(_standard(item or ""))
        except ValueError as error:
            broken = str(error) if "base64" in str(error) else "x509: malformed certificate"
            raise UnusableKeys(broken) from None


def _standard(text: str) -> bytes:
    for place, character in enumerate(text.rstrip("=").encode()):
        if character not in _STANDARD:
            raise ValueError(f"illegal base64 data at input byte {place}")
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(f"illegal base64 data at input byte {len(text) // 4 * 4}") from None


def _certificate(chain: Any) -> object:
    try:
        check_chain(chain)
    except UnusableKeys as error:
        raise UnusableKeys(f"{_JOSE}failed to unmarshal x5c field: {error}") from None
    return load_der_x509_certificate(_standard(chain[0])).public_key() if chain else None


def _public(item: Mapping[str, Any], parts: Mapping[str, bytes], *, old: bool) -> PublicKey | None:
    curve = item.get("crv") or ""
    match item.get("kty") or "":
        case "RSA":
            return _rsa(parts)
        case "EC":
            return _elliptic(curve, parts)
        case "oct":
            if "k" not in parts:
                raise UnusableKeys(f"{_JOSE}invalid OCT (symmetric) key, missing k value")
            return None
        case "OKP" if curve == "Ed25519" and ("x" in parts or not old):
            return _edwards(parts)
        case other:
            raise UnusableKeys(_unknown(other, curve, old=old))


def _unknown(key_type: str, curve: str, *, old: bool) -> str:
    if old:
        unknown = f"unknown json web key type '{key_type}'"
        return f"{_JOSE}unknown curve {curve}'" if key_type == "OKP" else f"{_JOSE}{unknown}"
    return f"{_JOSE}unsupported key type/format" if key_type else f"{_JOSE}missing json web key type"


def _rsa(parts: Mapping[str, bytes]) -> PublicKey | None:
    if "n" not in parts or "e" not in parts:
        raise UnusableKeys(f"{_JOSE}invalid RSA key, missing n/e values")
    if "d" in parts:
        missing = [name.upper() for name in ("p", "q") if name not in parts]
        if missing:
            raise UnusableKeys(f"{_JOSE}invalid RSA private key, missing {', '.join(missing)} value(s)")
    modulus = int.from_bytes(parts["n"], "big")
    try:
        key = rsa.RSAPublicNumbers(int.from_bytes(parts["e"], "big"), modulus).public_key()
    except ValueError:
        return None
    return key if modulus.bit_length() >= _SMALLEST_RSA else None


def _elliptic(name: str, parts: Mapping[str, bytes]) -> PublicKey:
    if name not in CURVES:
        raise UnusableKeys(f"{_JOSE}unsupported elliptic curve '{name}'")
    if "x" not in parts or "y" not in parts:
        raise UnusableKeys(f"{_JOSE}invalid EC key, missing x/y values")
    curve, _, size = CURVES[name]
    for part in ("x", "y"):
        if len(parts[part]) != size:
            raise UnusableKeys(f"{_JOSE}invalid EC public key, wrong length for {part}")
    if len(parts.get("d", bytes(size))) != size:
        raise UnusableKeys(f"{_JOSE}invalid EC private key, wrong length for d")
    x, y = (int.from_bytes(parts[part], "big") for part in ("x", "y"))
    try:
        return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except ValueError:
        raise UnusableKeys(f"{_JOSE}invalid EC key, X/Y are not on declared curve") from None


def _edwards(parts: Mapping[str, bytes]) -> PublicKey | None:
    if "x" not in parts:
        raise UnusableKeys(f"{_JOSE}invalid Ed key, missing x value")
    try:
        return ed25519.Ed25519PublicKey.from_public_bytes(parts["x"][:_ED25519_BYTES].ljust(_ED25519_BYTES, b"\0"))
    except (ValueError, UnsupportedAlgorithm):
        return None


def _check_thumbprints(item: Mapping[str, Any]) -> None:
    found = []
    for name, size in _THUMBPRINTS:
        try:
            content = base64url((item.get(name) or "").rstrip("="))
        except ValueError:
            raise UnusableKeys(f"{_JOSE}invalid JWK, {name} header has invalid encoding") from None
        # It may be the hexadecimal text of the digest, too.
        found.append((name, len(content) // 2 if len(content) == 2 * size else len(content), size))
    for name, length, size in found:
        if length not in {0, size}:
            raise UnusableKeys(f"{_JOSE}invalid JWK, {name} header is of incorrect size")
