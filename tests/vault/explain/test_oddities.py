"""Tokens and roles that nobody writes on purpose end at a real OpenBao as they are explained, too."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from explain_comparing import Comparison, comparison
from explain_logins import AUDIENCE, ISSUER, Keys, Login
from runpass.local.openbao import DevOpenBao

PUBLIC = Keys().jwks_document["keys"][1]
HEADERS: list[dict[str, Any]] = [
    {"crit": []}, {"crit": None}, {"crit": ["b64"], "b64": True}, {"crit": ["exp"], "exp": 1}, {"b64": False},
    {"b64": 5}, {"nonce": 5}, {"x5c": ["!!"]}, {"x5c": ["AA"]}, {"x5c": 5}, {"x5c": []}, {"jwk": 5}, {"jwk": None},
    {"jwk": PUBLIC}, {"jwk": {"kty": "oct", "k": "AA"}}, {"jwk": {"kty": "zz"}}, {"jwk": {}},
    {"jwk": {"kty": "OKP", "crv": "X25519", "x": "AA"}}, {"jwk": {**PUBLIC, "x": "AA"}},
]  # fmt: skip
POINTERS = ["/l/0x0", "/l/01", "/l/0b1", "/l/0o1", "/l/0_1", "/l/08", "/l/", "/l/-0", "/l/+1", "/l/1e0", "/l/1_"]
TEMPLATES = [
    "{{.nope}}", "{{.o.a}}", "{{.o.nope}}", "{{.env.x}}", "{{.null}}", "{{.null.x}}", "a\nb {{.nope}}", "{{.big}}",
    "x{{.env}}{{.o.nope.x}}", "é{{.nope}}",
]  # fmt: skip
NAMES = ["İ", "ΑΣ", "..", "../deploy", "a..b"]
LOGINS = [
    *({"header": header, "mount": mount} for header in HEADERS for mount in ("jwks", "static")),
    *({"role": {"bound_claims": {pointer: ["x"]}}} for pointer in POINTERS),
    *({"role": {"token_policies": [text], "token_policies_template_claims": True}} for text in TEMPLATES),
    *({"role_name": name} for name in NAMES),
    *({"role": {"bound_claims": {"o": "x"}}, "claims": {"o": {"n": number}}} for number in (1e6, 123456.5, -1.25e8)),
    {"role": {"token_policies": ["response-wrapping"]}},
    {"role": {"token_policies": ["response-wrapping", "root"]}},
    {"mangle": 'payload:{"a": 1e400}', "mount": "static"},
    *({"mangle": how, "mount": mount} for how in ("header number", "JSON", "JSON without payload", "JSON of one")
      for mount in ("jwks", "static")),
]  # fmt: skip


@pytest.fixture(scope="module")
def both(openbao: DevOpenBao) -> Iterator[Comparison]:
    with comparison(openbao) as found:
        yield found


def test_a_role_of_globs_that_binds_something_else_is_explained(both: Comparison):
    # Written at once it would be refused; a later write of the type alone is not.
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "run", "iat": now, "nbf": now, "exp": now + 300, "q": ["a", "b"]}
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE]}
    for value in (7, True, 7.5, [["a", 1]], [{"x": "y"}], ["c", 7, "b"], ["b", 7], [None]):
        before = {**role, "bound_claims": {"q": value}}
        after = {**role, "bound_claims_type": "glob"}
        found = both.compare(Login(mount="jwks", role=after, claims=claims), "odd", before=before)
        assert found is not None
        outcome, explained = found
        assert (value, outcome.status, outcome.error) == (value, explained.status, explained.error)


@pytest.mark.parametrize("odd", LOGINS, ids=[f"login {number}" for number in range(len(LOGINS))])
def test_an_odd_login_ends_as_it_is_explained(odd: dict[str, Any], both: Comparison):
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "run", "iat": now, "nbf": now, "exp": now + 300}
    claims |= {"l": ["w", "x"], "o": {"a": "b"}, "env": "prod", "null": None, "big": 1234567.0}
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE], **odd.get("role", {})}
    login = Login(**{"mount": "jwks", **odd, "role": role, "claims": claims | odd.get("claims", {})})
    found = both.compare(login, "odd")
    assert found is not None
    outcome, explained = found
    assert (outcome.status, outcome.error) == (explained.status, explained.error)
