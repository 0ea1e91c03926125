"""Published keys that a server cannot read, each with the sentence that OpenBao 2.7.2 answers with."""

from typing import Any

import pytest

from explain_logins import Keys
from runpass.vault.explain.jwk import UnusableKeys, keys_of

RSA, EC, _, _, ED = Keys().jwks_document["keys"]
TYPE = "json: cannot unmarshal number into Go value of type "
JOSE = "go-jose/go-jose: "


def without(key: dict[str, Any], name: str) -> dict[str, Any]:
    return {part: value for part, value in key.items() if part != name}


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (5, f"{TYPE}jose.rawJSONWebKey"), (None, f"{JOSE}missing json web key type"),
        ({**RSA, "kid": 5}, f"{TYPE}string"), ({**RSA, "n": 5}, f"{TYPE}string"),
        ({**RSA, "x5c": 5}, f"{TYPE}[]string"),
        ({"kid": "x"}, f"{JOSE}missing json web key type"), ({"kty": "AKP"}, f"{JOSE}unsupported key type/format"),
        (without(RSA, "e"), f"{JOSE}invalid RSA key, missing n/e values"),
        ({**RSA, "e": "AQAB="}, "illegal base64 data at input byte 4"),
        ({**RSA, "d": "AQAB"}, f"{JOSE}invalid RSA private key, missing P, Q value(s)"),
        ({**EC, "crv": "P-224"}, f"{JOSE}unsupported elliptic curve 'P-224'"),
        (without(EC, "y"), f"{JOSE}invalid EC key, missing x/y values"),
        ({**EC, "x": "AAAA"}, f"{JOSE}invalid EC public key, wrong length for x"),
        ({**EC, "x": EC["y"]}, f"{JOSE}invalid EC key, X/Y are not on declared curve"),
        ({**EC, "d": "AA"}, f"{JOSE}invalid EC private key, wrong length for d"),
        (without(ED, "x"), f"{JOSE}invalid Ed key, missing x value"),
        ({**ED, "crv": "X25519"}, f"{JOSE}unsupported key type/format"),
        ({"kty": "oct"}, f"{JOSE}invalid OCT (symmetric) key, missing k value"),
        ({**RSA, "x5c": ["AA"]}, f"{JOSE}failed to unmarshal x5c field: illegal base64 data at input byte 0"),
        ({**RSA, "x5t": "AA"}, f"{JOSE}invalid JWK, x5t header is of incorrect size"),
        ({**RSA, "x5t": "!!"}, f"{JOSE}invalid JWK, x5t header has invalid encoding"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_read_is_told_in_the_servers_words(key: Any, sentence: str):
    with pytest.raises(UnusableKeys) as raised:
        keys_of({"keys": [RSA, key]})
    assert str(raised.value) == sentence


def test_a_set_that_is_no_list_is_told_in_the_servers_words():
    with pytest.raises(UnusableKeys, match=r"cannot unmarshal object into Go struct field \.keys of type"):
        keys_of({"keys": {}})


@pytest.mark.parametrize(
    "key", [{**RSA, "e": ""}, {**RSA, "n": "AQAB"}, {**ED, "d": ED["x"]}, {"kty": "oct", "k": "AA"}]
)
def test_a_key_that_is_of_no_use_spoils_no_set_and_verifies_nothing(key: dict[str, Any]):
    first, second = keys_of({"KEYS": [key, EC]})
    assert first.public is None
    assert second.public is not None
