"""A key set as PEM: the same keys, or a sentence."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from runpass.errors import ControlPlaneError
from runpass.vault.public_keys import MOST_KEYS, from_jwks, from_pem

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
CURVES = [ec.generate_private_key(curve).public_key() for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())]
ED = ed25519.Ed25519PrivateKey.generate().public_key()


def test_every_kind_of_key_comes_out_as_it_went_in():
    jwks = [
        RSAAlgorithm.to_jwk(RSA, as_dict=True),
        *(ECAlgorithm.to_jwk(key, as_dict=True) for key in CURVES),
        OKPAlgorithm.to_jwk(ED, as_dict=True),
    ]
    pems = from_jwks(json.dumps({"keys": jwks}).encode())
    found = [load_pem_public_key(pem.encode()) for pem in pems]
    assert len(found) == 5
    assert all(key in found for key in (RSA, *CURVES, ED))
    assert from_pem("\n\n".join(reversed(pems)), "keys.pem") == pems


@pytest.mark.parametrize("body", [
    b"", b"<html>canary", b"[]", b"{}", b'{"keys": []}', b'{"keys": {}}', b'{"keys": ["canary"]}',
    b'{"keys": [{"kty": "oct", "k": "canary"}]}', b'{"keys": [{"kty": "RSA", "n": "canary"}]}',
    b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}', b'{"keys": [{"kty": "RSA", "n": 1, "e": 2}]}',
    b'{"keys": [{"kty": "OKP", "crv": "X25519", "x": "AA"}]}', b'{"keys": [{"kty": "EC", "crv": "secp256k1"}]}',
    json.dumps({"keys": [RSAAlgorithm.to_jwk(RSA, as_dict=True)] * (MOST_KEYS + 1)}).encode(),
])  # fmt: skip
def test_what_is_no_set_of_usable_keys_is_refused_and_not_repeated(body):
    with pytest.raises(ControlPlaneError) as caught:
        from_jwks(body)
    assert "canary" not in caught.value.message
