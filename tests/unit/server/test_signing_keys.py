"""Signing keys of every algorithm, and which keys may ever be published."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.testclient import TestClient

from factories import MovingClock
from runpass.errors import Unavailable
from runpass.server.http.errors import HANDLERS
from runpass.server.issuer.algorithms import Algorithm, load_private, public_jwk
from runpass.server.issuer.api import IssuerDocuments
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.keys import KeyState, SigningKey, new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.publishable import public_pem, publishable
from runpass.server.issuer.ring import KeyRing

ISSUER, AUDIENCE = "https://id.example.com/", "https://id.example.com"
NOW = MovingClock().now()
REAL_NOW = MovingClock(NOW.replace(year=2099))
FACTS = {name: "x" for name, field in WorkloadClaims.__dataclass_fields__.items() if name != "api_key_type"}
KEYS = {algorithm: new_key(NOW, algorithm) for algorithm in Algorithm}
CURVES = {"P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def number(value: int, size: int | None = None) -> str:
    data = value.to_bytes(size or (value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_token_of_every_algorithm_verifies_with_the_published_key(algorithm: Algorithm):
    ring = KeyRing((KEYS[algorithm],))
    minted = Minter(ring, ISSUER, REAL_NOW).mint(
        WorkloadClaims(**FACTS), subject="s", audience=AUDIENCE, lifetime=timedelta(minutes=5)
    )
    (key,) = jwt.PyJWKSet.from_dict(ring.jwks()).keys
    options = {"verify_iat": False, "verify_nbf": False}
    claims = jwt.decode(
        minted.token.reveal(), key.key, algorithms=[algorithm.value], audience=AUDIENCE, issuer=ISSUER, options=options
    )
    assert claims["sub"] == "s"
    assert jwt.get_unverified_header(minted.token.reveal()) == {
        "alg": algorithm.value,
        "kid": KEYS[algorithm].kid,
        "typ": "JWT",
    }


def test_signatures_on_a_curve_are_two_raw_numbers():
    assert {len(KEYS[Algorithm.ES256].sign(bytes([n]))) for n in range(64)} == {64}
    assert KEYS[Algorithm.EDDSA].algorithm == "EdDSA"


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_private_key_comes_back_and_shows_nothing_of_itself(algorithm: Algorithm):
    key = KEYS[algorithm]
    assert public_jwk(load_private(key.private_der()).public_key()) == key.public_jwk
    assert key.public_jwk.get("n", key.public_jwk.get("x")) not in repr(key)
    assert "private" not in repr(key).lower()


@pytest.mark.parametrize("made", [ec.generate_private_key(ec.SECP384R1()), ed448.Ed448PrivateKey.generate()])
def test_a_stored_key_of_a_kind_that_is_not_used_is_refused(made: Any):
    with pytest.raises(TypeError):
        load_private(made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def test_no_token_lives_longer_than_its_key_is_kept_for():
    key = replace(KEYS[Algorithm.ES256], longest_token=timedelta(minutes=1))
    minter = Minter(KeyRing((key,)), ISSUER, MovingClock())
    minted = minter.mint(WorkloadClaims(**FACTS), subject="s", audience="a", lifetime=timedelta(hours=1))
    assert minted.expires_at == NOW.replace(microsecond=0) + timedelta(minutes=1)


@pytest.mark.parametrize("key", KEYS.values(), ids=[algorithm.value for algorithm in KEYS])
def test_our_own_keys_are_publishable(key: SigningKey):
    assert publishable(key.public_jwk)
    assert public_pem(key.public_jwk).startswith("-----BEGIN PUBLIC KEY-----\n")


@pytest.mark.parametrize("curve", CURVES)
def test_the_larger_curves_are_publishable(curve: str):
    jwk = public_jwk(ec.generate_private_key(CURVES[curve]).public_key())
    assert jwk["crv"] == curve
    assert publishable(jwk)


def unreadable() -> dict[str, dict[str, Any]]:
    """Keys that make a Vault refuse the whole set, and some that it might take and nobody should."""
    good = KEYS[Algorithm.RS256].public_jwk
    point = ec.generate_private_key(ec.SECP256K1()).public_key().public_numbers()
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 -- the point
    on_curve = KEYS[Algorithm.ES256].public_jwk
    x25519_key = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    ed448_key = ed448.Ed448PrivateKey.generate().public_key().public_bytes_raw()
    common = {"use": "sig", "kid": "k"}
    return {
        "RSA of 1024 bits": public_jwk(short),
        "RSA without n": {name: value for name, value in good.items() if name != "n"},
        "RSA with a huge exponent": {**good, "e": number(2**64 + 1)},
        "RSA with e = 1": {**good, "e": "AQ"},
        "a private half": {**good, "d": good["n"]},
        "a certificate": {**good, "x5c": ["AAAA"]},
        "padding": {**good, "e": "AQAB="},
        "no base64url": {**good, "n": "+/+/" * 90},
        "another kid": {**good, "kid": "k"},
        "no kid": {name: value for name, value in good.items() if name != "kid"},
        "another alg": {**good, "alg": "HS256"},
        "for encryption": {**good, "use": "enc"},
        "secp256k1": {"kty": "EC", "crv": "secp256k1", "x": number(point.x, 32), "y": number(point.y, 32), **common},
        "a point that is not on the curve": {**on_curve, "y": on_curve["x"]},
        "a coordinate that is too short": {**on_curve, "x": on_curve["x"][:-4]},
        "Ed25519 as RFC 9864 names it": {**KEYS[Algorithm.EDDSA].public_jwk, "alg": "Ed25519"},
        "Ed25519 of 31 bytes": {**KEYS[Algorithm.EDDSA].public_jwk, "x": number(2**240, 31)},
        "X25519": {"kty": "OKP", "crv": "X25519", "x": number(int.from_bytes(x25519_key), 32), **common},
        "Ed448": {"kty": "OKP", "crv": "Ed448", "x": number(int.from_bytes(ed448_key), 57), "alg": "EdDSA", **common},
        "a symmetric key": {"kty": "oct", "k": "AAAA", "alg": "HS256", **common},
        "ML-DSA": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", **common},
        "nothing": {},
        "numbers for text": {**good, "n": 7},
        "a list for text": {**on_curve, "crv": ["P-256"]},
    }


UNREADABLE = unreadable()


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_key_that_some_vault_cannot_read_is_not_publishable(what: str):
    assert not publishable(UNREADABLE[what])


@given(st.dictionaries(st.sampled_from(["kty", "n", "e", "crv", "x", "y", "kid", "use", "alg"]), st.text() | st.none()))
def test_whatever_stands_in_a_row_is_judged_and_never_an_error(jwk: dict[str, Any]):
    assert not publishable(jwk)


class Changing:
    """A source whose ring a test replaces; without one it is not to be trusted."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring: KeyRing | None = ring

    @property
    def current(self) -> KeyRing:
        if self.ring is None:
            raise Unavailable("too old")
        return self.ring

    @property
    def signing(self) -> SigningKey:
        return self.current.signing


def test_the_documents_follow_the_ring_and_end_with_it():
    upcoming = new_key(NOW, Algorithm.EDDSA, state=KeyState.UPCOMING)
    source = Changing(KeyRing((KEYS[Algorithm.ES256],)))
    routes = IssuerDocuments(source, ISSUER, "x", max_age_seconds=7).routes("")
    client = TestClient(Starlette(routes=routes, exception_handlers=HANDLERS))
    first = client.get("/.well-known/jwks.json")
    assert first.headers["cache-control"] == "public, max-age=7"
    etag = {"If-None-Match": first.headers["etag"]}
    assert client.get("/.well-known/jwks.json", headers=etag).status_code == 304

    source.ring = KeyRing((KEYS[Algorithm.ES256], upcoming))
    second = client.get("/.well-known/jwks.json", headers=etag)
    assert second.status_code == 200
    assert {key["kid"] for key in second.json()["keys"]} == {KEYS[Algorithm.ES256].kid, upcoming.kid}
    metadata = client.get("/.well-known/openid-configuration").json()
    assert metadata["id_token_signing_alg_values_supported"] == ["ES256", "EdDSA"]

    source.ring = None
    for path in ("jwks.json", "openid-configuration"):
        gone = client.get(f"/.well-known/{path}", headers=etag)
        assert (gone.status_code, gone.json()["code"]) == (503, "unavailable")
        assert "cache-control" not in gone.headers or gone.headers["cache-control"] == "no-store"


def test_keys_are_of_the_size_that_is_promised():
    assert RSAAlgorithm.from_jwk(json.dumps(KEYS[Algorithm.RS256].public_jwk)).key_size == 2048
    assert KEYS[Algorithm.ES256].public_jwk["crv"] == "P-256"
    assert KEYS[Algorithm.EDDSA].public_jwk["crv"] == "Ed25519"
