import pytest

from runpass.errors import VaultError
from runpass.vault import refusals
from runpass.vault.errors import VaultFailure

TOKEN = "error validating token: "
WORDS = {
    "could not load configuration": "not_configured",
    "missing role": "role_missing",
    'role "x" could not be found': "role_not_found",
    "role with oidc role_type is not allowed": "role_type",
    "missing token": "token_missing",
    "error configuring token validator: keyset configuration error: x": "key_source_unusable",
    f"{TOKEN}error verifying token signature: oidc: malformed jwt: x": "malformed",
    f"{TOKEN}error verifying token signature: compact JWS format must have three parts": "malformed",
    f'{TOKEN}error verifying token signature: unexpected signature algorithm "none"; expected ["RS256"]': "malformed",
    f"{TOKEN}error verifying token signature: failed to verify id token signature": "signature",
    f"{TOKEN}error verifying token signature: no known key successfully validated the token signature": "signature",
    f"{TOKEN}error verifying token signature: something new": "signature",
    f"{TOKEN}error verifying token signature: fetching keys oidc: get keys failed: 404 <p>page could not be found": (
        "jwks_unreachable"
    ),
    f'{TOKEN}ambiguous claim: key "SUB" collides with registered claim "sub" under case folding': "ambiguous_claim",
    f"{TOKEN}invalid algorithm (alg) header parameter: token signed with unexpected algorithm": "algorithm",
    f"{TOKEN}json: cannot unmarshal number into Go struct field Claims.sub of type string": "claim_type",
    f"{TOKEN}go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience": "claim_type",
    f"{TOKEN}invalid issuer (iss) claim": "issuer",
    f"{TOKEN}invalid subject (sub) claim": "subject",
    f"{TOKEN}invalid audience (aud) claim: audience claim does not match any expected audience": "audience",
    "audience claim found in JWT but no audiences bound to the role": "audience",
    f"{TOKEN}no issued at (iat), not before (nbf), or expiration time (exp) claims in token": "no_time_claims",
    f"{TOKEN}invalid not before (nbf) claim: token not yet valid": "not_yet_valid",
    f"{TOKEN}invalid expiration time (exp) claim: token is expired": "expired",
    f"{TOKEN}invalid issued at (iat) claim: token issued in the future": "not_yet_valid",
    'claim "x" not found in token': "user_claim",
    'claim "x" could not be converted to string': "user_claim",
    "missing name in alias": "user_claim",
    "error converting claim 'n' to string": "claim_mapping",
    'failed to fetch groups: "g" claim not found in token': "groups_claim",
    '"g" claim could not be converted to string list': "groups_claim",
    "value 7 in groups claim could not be parsed as string": "groups_claim",
    'error validating claims: claim "x" is missing': "bound_claim",
    'error validating claims: claim "x" does not match any associated bound claim values': "bound_claim",
    "error validating claims: received claim is not a string, bool, int or list: map[]": "bound_claim",
    "failed to template policy [0]: unable to apply template": "policy_template",
    "auth methods cannot create root tokens": "root_policy",
    "words of a later version": "login_refused",
}


@pytest.mark.parametrize("words", WORDS)
def test_each_refusal_has_its_code(words):
    assert refusals.reason_of(words).code == WORDS[words]


def test_every_reason_is_looked_for_and_says_what_to_do():
    for reason in refusals.REASONS:
        assert reason.phrases
        assert any(reason.code == code for code in WORDS.values()), reason
        assert reason.sentence != refusals.Refusal.sentence
        assert reason.advice.endswith((".", "role"))
        assert reason.sentence[0].islower()
    assert set(refusals.Refusal.__subclasses__()) - set(refusals.REASONS) == {
        refusals.OtherReason,
        refusals.AuthMountNotFound,
    }


def everything_below(kind: type[VaultError]) -> list[type[VaultError]]:
    return [found for below in kind.__subclasses__() for found in (below, *everything_below(below))]


def test_every_error_has_a_code_of_its_own():
    shared = {VaultFailure, refusals.Refusal, refusals.OtherReason}  # bear the code of the class above them
    codes = [kind.code for kind in everything_below(VaultError) if kind not in shared]
    assert len(codes) == len(set(codes))
