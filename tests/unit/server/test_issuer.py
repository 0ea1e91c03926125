"""Workload identity tokens, and the two documents that let others check them."""

import base64
import hashlib
import json
from dataclasses import fields, replace
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import MovingClock
from runpass.errors import Unavailable
from runpass.secret import PLACEHOLDER
from runpass.server.issuer.algorithms import public_jwk
from runpass.server.issuer.api import IssuerDocuments
from runpass.server.issuer.claims import (
    MAX_CLAIM,
    STANDARD_CLAIMS,
    OptionalClaims,
    WorkloadClaims,
    documented,
    supported,
)
from runpass.server.issuer.discovery import jwks_document, provider_metadata
from runpass.server.issuer.keys import SigningKey, new_key
from runpass.server.issuer.minting import Minted, Minter
from runpass.server.issuer.ring import KeyRing

ISSUER = "https://id.example.com/"
AUDIENCE = "https://id.example.com"
OPTIONAL = {"deployer_email", "env0_tag", "repository", "revision", "commit", "credential_id"}
FACTS = {item.name: f"the {item.name} é" for item in fields(WorkloadClaims) if item.name != "api_key_type"}


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key(MovingClock().now())


@pytest.fixture
def ring(key: SigningKey) -> KeyRing:
    return KeyRing((key,))


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


def mint(ring: KeyRing, clock: MovingClock, **facts: Any) -> Minted:
    claims = WorkloadClaims(**FACTS | facts)
    minter = Minter(ring, ISSUER, clock)
    return minter.mint(claims, subject="organization", audience=AUDIENCE, lifetime=timedelta(minutes=15))


def parts(minted: Minted) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = minted.token.reveal().split(".")
    return json.loads(decoded(header)), json.loads(decoded(payload))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_token_verifies_with_nothing_but_the_published_documents(ring: KeyRing, clock: MovingClock):
    minted = mint(ring, clock)
    keys = jwt.PyJWKSet.from_dict(json.loads(jwks_document(ring).body))
    header = jwt.get_unverified_header(minted.token.reveal())
    claims = jwt.decode(
        minted.token.reveal(),
        keys[header["kid"]].key,
        algorithms=["RS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    assert claims["environmentId"] == FACTS["environment_id"]


def test_a_token_that_was_changed_does_not_verify(ring: KeyRing, clock: MovingClock, key: SigningKey):
    header, payload, signature = mint(ring, clock).token.reveal().split(".")
    other = base64.urlsafe_b64encode(decoded(payload).replace(b"organization", b"0rganization")).rstrip(b"=").decode()
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(f"{header}.{other}.{signature}", key.private_key.public_key(), algorithms=["RS256"])


def test_the_header_says_type_key_and_algorithm_and_nothing_else(ring: KeyRing, clock: MovingClock, key: SigningKey):
    header, _ = parts(mint(ring, clock))
    assert header == {"alg": "RS256", "kid": key.kid, "typ": "JWT"}


def test_standard_claims_are_all_there_in_their_types(ring: KeyRing, clock: MovingClock):
    minted = mint(ring, clock)
    _, payload = parts(minted)
    assert (payload["iss"], payload["sub"], payload["aud"]) == (ISSUER, "organization", AUDIENCE)
    assert payload["iat"] == payload["nbf"] == int(clock.now().timestamp())
    assert payload["exp"] - payload["iat"] == 900
    assert all(type(payload[name]) is int for name in ("iat", "nbf", "exp"))
    assert payload["jti"] == minted.jti
    assert mint(ring, clock).jti != minted.jti
    assert set(STANDARD_CLAIMS) <= set(payload)


def test_every_other_claim_is_a_string(ring: KeyRing, clock: MovingClock):
    _, payload = parts(mint(ring, clock))
    custom = {name: value for name, value in payload.items() if name not in STANDARD_CLAIMS}
    assert len(custom) == len(fields(WorkloadClaims))
    assert {type(value) for value in custom.values()} == {str}
    assert custom["apiKeyType"] == "oidc"


@pytest.mark.parametrize("unknown", [None, ""])
def test_a_claim_whose_fact_is_unknown_is_left_out(ring: KeyRing, clock: MovingClock, unknown: str | None):
    _, payload = parts(mint(ring, clock, **dict.fromkeys(OPTIONAL, unknown)))
    missing = {"deployerEmail", "env0Tag", "repository", "revision", "commit", "credentialId"}
    assert {name for name, *_ in documented()} - set(payload) == missing


def test_a_claim_that_is_too_long_stops_the_mint_and_is_named_without_its_value(ring: KeyRing, clock: MovingClock):
    mint(ring, clock, repository="r" * MAX_CLAIM)
    with pytest.raises(ValueError, match="the claim repository would be longer than 1024") as error:
        mint(ring, clock, repository="r" * (MAX_CLAIM + 1))
    assert "rrr" not in str(error.value)


@given(st.text(min_size=1, max_size=MAX_CLAIM))
def test_any_text_goes_through_a_claim_unchanged(text: str):
    claims = WorkloadClaims(**FACTS | {"project_name": text})
    assert json.loads(json.dumps(claims.as_mapping(), ensure_ascii=True))["projectName"] == text


def test_the_key_id_is_the_thumbprint_of_the_key(key: SigningKey):
    jwk = public_jwk(key.private_key.public_key())
    canonical = json.dumps({"e": jwk["e"], "kty": "RSA", "n": jwk["n"]}, separators=(",", ":"))  # RFC 7638, section 3
    expected = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
    assert key.kid == jwk["kid"] == expected


def test_only_public_halves_are_published(ring: KeyRing):
    (published,) = json.loads(jwks_document(ring).body)["keys"]
    assert set(published) == {"kty", "n", "e", "kid", "use", "alg"}
    assert (published["kty"], published["use"], published["alg"]) == ("RSA", "sig", "RS256")
    assert len(decoded(published["n"])) == 256


def test_a_key_shows_nothing_of_itself(key: SigningKey):
    numbers = key.private_key.private_numbers()
    assert "private" not in repr(key)
    assert "public_jwk" not in repr(key)
    assert str(numbers.d) not in repr(key)
    assert key.public_jwk["n"] not in repr(key)


def test_a_minted_token_shows_nothing_of_itself(ring: KeyRing, clock: MovingClock):
    minted = mint(ring, clock)
    assert PLACEHOLDER in repr(minted)
    assert minted.token.reveal() not in repr(minted)


def test_a_ring_without_keys_signs_nothing(clock: MovingClock):
    with pytest.raises(Unavailable):
        mint(KeyRing(()), clock)


def test_the_metadata_names_the_issuer_byte_for_byte(ring: KeyRing, clock: MovingClock):
    document = provider_metadata(ISSUER, f"{AUDIENCE}/.well-known/jwks.json", ring)
    metadata = json.loads(document.body)
    assert metadata["issuer"] == ISSUER == parts(mint(ring, clock))[1]["iss"]
    assert metadata["jwks_uri"] == f"{AUDIENCE}/.well-known/jwks.json"
    assert metadata["id_token_signing_alg_values_supported"] == ["RS256"]
    assert (metadata["response_types_supported"], metadata["subject_types_supported"]) == (["id_token"], ["public"])


def test_the_metadata_names_no_endpoint_that_is_not_there(ring: KeyRing):
    metadata = json.loads(provider_metadata(ISSUER, "x", ring).body)
    assert not [name for name in metadata if name.endswith("_endpoint")]


def test_the_metadata_lists_exactly_the_claims_that_tokens_have(ring: KeyRing, clock: MovingClock):
    listed = json.loads(provider_metadata(ISSUER, "x", ring).body)["claims_supported"]
    minter, facts = Minter(ring, ISSUER, clock), WorkloadClaims(**FACTS)
    seen = set(parts(minter.mint_sweeper(uuid4()))[1])
    for prefixed, tags in product((False, True), repeat=2):
        wanted = OptionalClaims(env0_prefixed=prefixed, aws_tags=tags, aws_transitive_tags=("projectId",))
        minted = minter.mint(facts, subject="s", audience="a", lifetime=timedelta(minutes=5), optional=wanted)
        expired = minter.mint_expired(facts, subject="s", audience="a", optional=wanted)
        assert set(parts(minted)[1]) == set(parts(expired)[1])
        seen |= set(parts(minted)[1])
    assert set(listed) == seen == set(supported())
    assert len(listed) == len(seen)


def test_every_claim_is_documented_with_a_meaning():
    assert all(name and meaning for name, meaning, _ in documented())
    ours = {name for name, _, is_ours in documented() if is_ours}
    assert {"phase", "runnerId", "runnerPool", "runnerIsolation", "credentialId"} <= ours
    assert not ours & {"projectId", "env0Tag", "organizationId", "iss"}


def test_a_documents_tag_changes_with_its_content(ring: KeyRing, key: SigningKey):
    one = jwks_document(ring)
    assert one == jwks_document(KeyRing((key,)))
    other = jwks_document(KeyRing((replace(key, public_jwk={**key.public_jwk, "kid": "other"}),)))
    assert one.etag != other.etag
    assert one.etag.startswith('"')
    assert one.etag.endswith('"')


@pytest.mark.parametrize(("path", "expected"), [("", "/.well-known/"), ("/team", "/team/.well-known/")])
def test_the_documents_stand_below_the_issuers_path(ring: KeyRing, path: str, expected: str):
    routes = IssuerDocuments(ring, ISSUER, "x").routes(path)
    documents = ("openid-configuration", "jwks.json", "jwks/{name}.json")
    assert [route.path for route in routes] == [f"{expected}{name}" for name in documents]
