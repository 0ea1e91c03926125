"""Parsing and verifying a token as go-jose and go-oidc do (RFC 7515, compact serialization). Pure.

The sentences are theirs, because the server repeats them.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from runpass.vault.explain.go_json import NotJson, decode_once, kind, raw_members
from runpass.vault.explain.go_text import quoted

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA")
"""In the order in which the server lists them."""
THREE_PARTS: Final = "go-jose/go-jose: compact JWS format must have three parts"
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_SPACES: Final = re.compile(r"\s+")
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES: Final[Mapping[str, tuple[ec.EllipticCurve, str, int]]] = {
    "P-256": (ec.SECP256R1(), "ES256", 32),
    "P-384": (ec.SECP384R1(), "ES384", 48),
    "P-521": (ec.SECP521R1(), "ES512", 66),
}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Malformed(ValueError):
    """The token is no JWS that the server would look at further; `str()` is its sentence."""


class UnusableKeys(ValueError):
    """The server could not parse one key of the set, and so none."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A token in its parts; `payload` is not trusted."""

    header: Mapping[str, Any]
    payload: bytes
    signature: bytes
    signing_input: bytes

    @property
    def algorithm(self) -> str:
        """Give `alg`; empty where there is none."""
        return str(self.header.get("alg") or "")

    @property
    def key_id(self) -> str:
        """Give `kid`; empty where there is none."""
        found = self.header.get("kid")
        return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key and the id that it is published under."""

    key_id: str
    public: PublicKey | None
    """None for a symmetric key: it verifies nothing."""


def parse(token: str, *, lenient: bool = False) -> Jws:
    """Give the parts of a token. Raises `Malformed`.

    `lenient` is how it is parsed for keys that stand in the config: padding does no harm, and an algorithm that nobody
    knows is only a signature that nobody verifies.
    """
    text = _SPACES.sub("", token)
    parts = text.split(".")
    if len(parts) != 3:  # noqa: PLR2004 -- header, payload, signature
        raise Malformed(THREE_PARTS)
    header_bytes, payload, signature = (_decoded(part.rstrip("=") if lenient else part) for part in parts)
    try:
        header = decode_once(header_bytes) if header_bytes else {}
    except NotJson as error:
        raise Malformed(str(error)) from None
    if header is None:
        header = {}
    if not isinstance(header, dict):
        raise Malformed(f"json: cannot unmarshal {kind(header)} into Go value of type jose.rawHeader")
    for name, what in (("alg", "algorithm"), ("kid", "key ID")):
        _check_text(header, header_bytes, name, what)
    algorithm = header.get("alg") or ""
    if algorithm not in ALGORITHMS and not lenient:
        expected = " ".join(quoted(item) for item in ALGORITHMS)
        raise Malformed(f"unexpected signature algorithm {quoted(algorithm)}; expected [{expected}]")
    # What is verified is written anew from the bytes, whatever the text had in padding and left-over bits.
    return Jws(header, payload, signature, b".".join((_encoded(header_bytes), _encoded(payload))))


def _check_text(header: Mapping[str, Any], content: bytes, name: str, what: str) -> None:
    value = header.get(name)
    if value is not None and not isinstance(value, str):
        raw = raw_members(content)[name]
        sentence = f"json: cannot unmarshal {kind(value)} into Go value of type string"
        raise Malformed(f"failed to unmarshal {what}: {sentence}: {quoted(raw)}")


def _encoded(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _decoded(part: str) -> bytes:
    """Give the bytes of base64url without padding. Raises `Malformed` with the place that Go names."""
    content = part.encode()
    for place, character in enumerate(content):
        if character not in _ALPHABET:
            raise Malformed(f"illegal base64 data at input byte {place}")
    if len(content) % 4 == 1:
        raise Malformed(f"illegal base64 data at input byte {len(content) - 1}")
    return base64.urlsafe_b64decode(content + b"=" * (-len(content) % 4))


def keys_of(jwks: Mapping[str, Any]) -> tuple[Key, ...]:
    """Give the keys of a set (RFC 7517). Raises `UnusableKeys` where one of them spoils the set for the server."""
    found = jwks.get("keys")
    if found is None:
        return ()
    if not isinstance(found, list):
        raise UnusableKeys("keys is not a list")
    return tuple(_key(item) for item in found)


def static_keys(pems: Iterable[str]) -> tuple[Key, ...]:
    """Give the keys that were written into the mount's config (PEM: public keys, or certificates of them)."""
    return tuple(Key("", _from_pem(pem)) for pem in pems)


def verifies(jws: Jws, keys: Iterable[Key], *, by_id: bool = True) -> bool:
    """Whether one of the keys made the signature; with `by_id` only those of the token's `kid`, if it has one."""
    if "crit" in jws.header or jws.algorithm not in ALGORITHMS:
        return False
    wanted = jws.key_id if by_id else ""
    return any(_verifies(jws, key.public) for key in keys if key.public and (not wanted or key.key_id == wanted))


def _verifies(jws: Jws, key: PublicKey) -> bool:
    algorithm = jws.algorithm
    try:
        match key:
            case ed25519.Ed25519PublicKey():
                if algorithm != "EdDSA":
                    return False
                key.verify(jws.signature, jws.signing_input)
            case ec.EllipticCurvePublicKey():
                return _verifies_ec(jws, key)
            case rsa.RSAPublicKey():
                if algorithm[:2] not in {"RS", "PS"}:
                    return False
                digest = _HASHES[algorithm[2:]]
                pss = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
                how = pss if algorithm.startswith("PS") else padding.PKCS1v15()
                key.verify(jws.signature, jws.signing_input, how, digest)
    except InvalidSignature:
        return False
    return True


def _verifies_ec(jws: Jws, key: ec.EllipticCurvePublicKey) -> bool:
    found = next((entry for entry in _CURVES.values() if entry[0].name == key.curve.name), None)
    if found is None or found[1] != jws.algorithm or len(jws.signature) != 2 * found[2]:
        return False
    size = found[2]
    r, s = (int.from_bytes(part, "big") for part in (jws.signature[:size], jws.signature[size:]))
    key.verify(encode_dss_signature(r, s), jws.signing_input, ec.ECDSA(_HASHES[jws.algorithm[2:]]))
    return True


def _key(item: Any) -> Key:
    if not isinstance(item, Mapping):
        raise UnusableKeys("a key is not an object")
    key_id = item.get("kid")
    try:
        return Key(key_id if isinstance(key_id, str) else "", _public(item))
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm) as error:
        raise UnusableKeys(f"the key {quoted(str(key_id))} is of no type that the server knows, or broken") from error


def _public(item: Mapping[str, Any]) -> PublicKey | None:
    match item.get("kty"):
        case "RSA":
            return rsa.RSAPublicNumbers(_number(item["e"]), _number(item["n"])).public_key()
        case "EC":
            curve, _, _ = _CURVES[item["crv"]]
            return ec.EllipticCurvePublicNumbers(_number(item["x"]), _number(item["y"]), curve).public_key()
        case "OKP" if item.get("crv") == "Ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(_decoded(item["x"].rstrip("=")))
        case "oct":
            return None
        case other:
            raise ValueError(f"unknown key type {other!r}")


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text.rstrip("=")), "big")


def _from_pem(pem: str) -> PublicKey | None:
    content = pem.encode()
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        try:
            key = load_pem_x509_certificate(content).public_key()
        except (ValueError, UnsupportedAlgorithm):
            return None
    return key if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) else None
