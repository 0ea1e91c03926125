"""Parsing and verifying a token as go-jose and go-oidc do (RFC 7515). Pure.

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

from runpass.vault.explain.go_json import NotJson, decode_once, kind, members
from runpass.vault.explain.go_text import quoted
from runpass.vault.explain.jwk import CURVES, Key, PublicKey, UnusableKeys, base64url, check_chain, read_key

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA")
"""In the order in which the server lists them."""
THREE_PARTS: Final = "go-jose/go-jose: compact JWS format must have three parts"
_NAMED: Final = {"alg": "algorithm", "kid": "key ID", "nonce": "nonce", "jwk": "JWK", "x5c": "x5c header"}
_SPACES: Final = re.compile(r"\s+")
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}


class Malformed(ValueError):
    """The token is no JWS that the server would look at further; `str()` is its sentence."""


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


def parse(token: str, *, lenient: bool = False) -> Jws:
    """Give the parts of a token. Raises `Malformed`.

    `lenient` is how it is parsed for keys that stand in the config: padding does no harm, and an algorithm that nobody
    knows is only a signature that nobody verifies.
    """
    text = _SPACES.sub("", token)
    parts = _flattened(text) if text.startswith("{") else text.split(".")
    if len(parts) != 3:  # noqa: PLR2004 -- header, payload, signature
        raise Malformed(THREE_PARTS)
    header_bytes, payload, signature = (_decoded(part.rstrip("=") if lenient else part) for part in parts)
    header = _header(header_bytes, lenient=lenient)
    algorithm = header.get("alg") or ""
    if algorithm not in ALGORITHMS and not lenient:
        expected = " ".join(quoted(item) for item in ALGORITHMS)
        raise Malformed(f"unexpected signature algorithm {quoted(algorithm)}; expected [{expected}]")
    if isinstance(header.get("jwk"), Mapping) and not _is_public(header["jwk"], old=lenient):
        raise Malformed("go-jose/go-jose: invalid embedded jwk, must be public key")
    # What is verified is written anew from the bytes, whatever the text had in padding and left-over bits.
    signed = payload if header.get("b64") is False else _encoded(payload)
    return Jws(header, payload, signature, _encoded(header_bytes) + b"." + signed)


def _flattened(text: str) -> list[str]:
    """Give the parts of a token in the JSON serialization (RFC 7515, section 7.2), which is read, too."""
    try:
        found = decode_once(text.encode("utf-8", errors="surrogatepass"))
    except NotJson as error:
        raise Malformed(str(error)) from None
    if found.get("payload") is None:
        raise Malformed("go-jose/go-jose: missing payload in JWS message")
    # With several signatures the server takes none; with one it is the same as without the list.
    signed = next(iter(found.get("signatures") or ()), found)
    return [str(signed.get("protected") or ""), str(found["payload"]), str(signed.get("signature") or "")]


def _header(content: bytes, *, lenient: bool) -> dict[str, Any]:
    """Give the header. Raises `Malformed`; one that is wrong in several places is told one of them."""
    try:
        raw = members(content) if content else {}
    except NotJson as error:
        raise Malformed(str(error)) from None
    found: dict[str, Any] = {}
    for name in sorted(raw, key=lambda name: name not in _NAMED):
        try:
            found[name] = _member(name, raw[name], lenient=lenient)
        except (NotJson, UnusableKeys) as error:
            raise Malformed(f"failed to unmarshal {_NAMED.get(name, 'value')}: {error}: {quoted(raw[name])}") from None
    return found


def _member(name: str, raw: str, *, lenient: bool) -> Any:
    value = decode_once(raw.encode("utf-8", errors="surrogatepass"))
    if value is None:
        return None
    if name == "jwk":
        read_key(value, old=lenient)
    elif name == "x5c":
        check_chain(value)
    elif name in _NAMED and not isinstance(value, str):
        raise NotJson(f"json: cannot unmarshal {kind(value)} into Go value of type string")
    return value


def _is_public(jwk: Mapping[str, Any], *, old: bool) -> bool:
    return read_key(jwk, old=old).public is not None


def _encoded(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _decoded(part: str) -> bytes:
    try:
        return base64url(part)
    except ValueError as error:
        raise Malformed(str(error)) from None


def static_keys(pems: Iterable[str]) -> tuple[Key, ...]:
    """Give the keys that were written into the mount's config (PEM: public keys, or certificates of them)."""
    return tuple(Key("", _from_pem(pem)) for pem in pems)


def verifies(jws: Jws, keys: Iterable[Key], *, by_id: bool = True) -> bool:
    """Whether one of the keys made the signature; with `by_id` only those of the token's `kid`, if it has one."""
    if not _understood(jws.header.get("crit")) or jws.algorithm not in ALGORITHMS:
        return False
    wanted = jws.key_id if by_id else ""
    return any(_verifies(jws, key.public) for key in keys if key.public and (not wanted or key.key_id == wanted))


def _understood(critical: Any) -> bool:
    return critical is None or (isinstance(critical, list) and all(item == "b64" for item in critical))


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
    found = next((entry for entry in CURVES.values() if entry[0].name == key.curve.name), None)
    if found is None or found[1] != jws.algorithm or len(jws.signature) != 2 * found[2]:
        return False
    size = found[2]
    r, s = (int.from_bytes(part, "big") for part in (jws.signature[:size], jws.signature[size:]))
    key.verify(encode_dss_signature(r, s), jws.signing_input, ec.ECDSA(_HASHES[jws.algorithm[2:]]))
    return True


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
