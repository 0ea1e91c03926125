import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fake_servers import answering, http
from runpass.secret import Secret
from runpass.vault import refusals
from runpass.vault.client import VaultClient
from runpass.vault.errors import AnswerNotUnderstood, NamespaceNotFound, RateLimited
from runpass.vault.login import jwt_login
from throwaway_issuer import ABSENT, AUDIENCE


def test_a_login_gives_the_token_and_what_it_may_do(vault, issuer, trusting_mount, write_role):
    role = write_role(token_policies=["default", "app"], claim_mappings={"deploymentLogId": "deploymentLogId"})
    login = jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token(deploymentLogId="d1"))
    assert login.policies == ("app", "default")
    assert login.ttl == timedelta(seconds=60)
    assert login.renewable
    assert not login.is_batch
    assert login.metadata == {"role": "deploy", "deploymentLogId": "d1"}
    assert login.entity_id
    assert login.accessor
    assert login.client_token.reveal() not in repr(login)
    assert vault.with_token(login.client_token).read("auth/token/lookup-self").data["orphan"] is True


def test_the_client_for_the_login_may_carry_another_token(vault_root, issuer, trusting_mount, write_role):
    assert jwt_login(vault_root, mount=trusting_mount, role=write_role(), jwt=issuer.token()).client_token
    with pytest.raises(refusals.AuthMountNotFound):
        jwt_login(vault_root, mount="no-such-mount", role="deploy", jwt=issuer.token())


TOKEN_CASES = {
    "audience": ({"aud": "https://other.test"}, refusals.Audience),
    "audience absent": ({"aud": ABSENT}, refusals.Audience),
    "issuer": ({"iss": "https://other.test"}, refusals.Issuer),
    "expired": ({"iat": 1, "nbf": 1, "exp": 2}, refusals.Expired),
    "not yet valid": ({"nbf": 4102444800, "exp": 4102444900}, refusals.NotYetValid),
    "issued in the future": ({"iat": 4102444800, "exp": 4102444900}, refusals.NotYetValid),
    "no time claims": ({"iat": ABSENT, "nbf": ABSENT, "exp": ABSENT}, refusals.NoTimeClaims),
    "claim type": ({"exp": "soon"}, refusals.ClaimType),
    "subject as a number": ({"SUB": "x"}, refusals.AmbiguousClaim),
    "user claim absent": ({"environmentId": ABSENT}, refusals.UserClaim),
    "user claim empty": ({"environmentId": ""}, refusals.UserClaim),
    "user claim not a string": ({"environmentId": ["x"]}, refusals.UserClaim),
    "bound claim differs": ({"apiKeyType": "user"}, refusals.BoundClaim),
    "bound claim absent": ({"apiKeyType": ABSENT}, refusals.BoundClaim),
    "bound claim an object": ({"apiKeyType": {"a": 1}}, refusals.BoundClaim),
}


@pytest.mark.parametrize("case", TOKEN_CASES)
def test_a_token_that_does_not_fit_is_refused_with_its_reason(case, vault, issuer, trusting_mount, write_role):
    changes, expected = TOKEN_CASES[case]
    role = write_role(bound_claims={"apiKeyType": "oidc"})
    with pytest.raises(refusals.Refusal) as caught:
        jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token(**changes))
    error = caught.value
    assert type(error) is expected, error.vault_error
    assert error.vault_error
    assert error.hint
    assert all(part in error.message for part in (vault.address, f"auth/{trusting_mount}", "deploy"))


ROLE_CASES = {
    "no audience bound": ({"bound_audiences": None, "bound_claims": {"apiKeyType": "oidc"}}, refusals.Audience),
    "subject": ({"bound_subject": "somebody"}, refusals.Subject),
    "groups claim absent": ({"groups_claim": "groups"}, refusals.GroupsClaim),
    "groups claim not a list": ({"groups_claim": "iat"}, refusals.GroupsClaim),
    "mapping of a number": ({"claim_mappings": {"iat": "iat"}}, refusals.ClaimMapping),
    "root policy": ({"token_policies": ["root"]}, refusals.RootPolicy),
    "address": ({"token_bound_cidrs": ["192.0.2.1/32"]}, refusals.AuthMountNotFound),
    "template": (
        {"token_policies": ["{{.nope}}"], "token_policies_template_claims": True},
        refusals.PolicyTemplate,
    ),
    "browser role": (
        {"role_type": "oidc", "allowed_redirect_uris": ["http://localhost/cb"], "bound_audiences": None},
        refusals.RoleType,
    ),
}


@pytest.mark.parametrize("case", ROLE_CASES)
def test_a_role_that_does_not_fit_refuses_with_its_reason(case, vault, issuer, trusting_mount, write_role):
    changes, expected = ROLE_CASES[case]
    role = write_role(**changes)
    with pytest.raises(refusals.Refusal) as caught:
        jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token())
    assert type(caught.value) is expected, caught.value.vault_error


def test_a_role_that_does_not_exist_is_told(vault, issuer, trusting_mount):
    with pytest.raises(refusals.RoleNotFound) as caught:
        jwt_login(vault, mount=trusting_mount, role="nobody", jwt=issuer.token())
    assert caught.value.code == "role_not_found"
    assert caught.value.status == 400


def test_an_empty_role_or_token_is_told(vault, issuer, trusting_mount, write_role):
    with pytest.raises(refusals.RoleMissing):
        jwt_login(vault, mount=trusting_mount, role="", jwt=issuer.token())
    with pytest.raises(refusals.TokenMissing):
        jwt_login(vault, mount=trusting_mount, role=write_role(), jwt=Secret(""))


def test_a_mount_without_configuration_is_told(vault, issuer, jwt_mount):
    with pytest.raises(refusals.NotConfigured):
        jwt_login(vault, mount=jwt_mount, role="deploy", jwt=issuer.token())


def test_a_mount_that_does_not_exist_is_told(vault, issuer):
    with pytest.raises(refusals.AuthMountNotFound) as caught:
        jwt_login(vault, mount="no-such-mount", role="deploy", jwt=issuer.token())
    assert caught.value.status == 403
    assert "no-such-mount" in caught.value.message


def test_a_namespace_that_does_not_exist_is_told(vault, issuer):
    with pytest.raises(NamespaceNotFound) as caught:
        jwt_login(vault.in_namespace("nowhere"), mount="jwt", role="deploy", jwt=issuer.token())
    assert "nowhere" in caught.value.message
    assert caught.value.vault_error == "namespace not found"


def test_a_wrong_or_unknown_key_is_told(vault, issuer, trusting_mount, write_role):
    role = write_role()
    other = ec.generate_private_key(ec.SECP256R1())
    for kid in (issuer.kid, "unknown"):
        with pytest.raises(refusals.BadSignature):
            jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token(key=other, kid=kid))


def test_what_is_not_a_jwt_is_told_and_not_repeated(vault, trusting_mount, write_role):
    with pytest.raises(refusals.Malformed) as caught:
        jwt_login(vault, mount=trusting_mount, role=write_role(), jwt=Secret("not-a-jwt-canary"))
    assert "canary" not in f"{caught.value.message} {caught.value.vault_error} {caught.value.hint}"


def test_an_algorithm_that_the_mount_does_not_list_is_told(vault, vault_root, issuer, trusting_mount, write_role):
    role = write_role()
    config = {"jwks_url": issuer.jwks_url, "bound_issuer": issuer.url, "jwt_supported_algs": ["RS256"]}
    vault_root.write(f"auth/{trusting_mount}/config", config)
    with pytest.raises(refusals.Algorithm):
        jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token())


def test_static_keys_work_and_refuse_others(vault, vault_root, issuer, trusting_mount, write_role):
    role = write_role()
    pem = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    config = {"jwt_validation_pubkeys": [pem], "bound_issuer": issuer.url}
    vault_root.write(f"auth/{trusting_mount}/config", config)
    assert jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token()).client_token
    stranger = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(refusals.BadSignature):
        jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token(key=stranger))


def test_an_issuer_that_answers_nonsense_is_told_with_bounded_words(vault, vault_root, own_issuer, jwt_mount):
    vault_root.write(f"auth/{jwt_mount}/config", {"jwks_url": own_issuer.jwks_url, "bound_issuer": own_issuer.url})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE]}
    vault_root.write(f"auth/{jwt_mount}/role/r", role)
    own_issuer.status = 500
    own_issuer.body = b'role "x" could not be found, token is expired \x1b[31m\x07' + "\u202e".encode() + b"x" * 100_000
    with pytest.raises(refusals.JwksUnreachable) as caught:
        jwt_login(vault, mount=jwt_mount, role="r", jwt=own_issuer.token())
    words = caught.value.vault_error
    assert len(words) < 2_100
    assert words.isprintable()
    assert "\\u001b" in words


def test_a_rate_limit_is_told(vault, vault_root, issuer, trusting_mount, write_role):
    role, quota = write_role(), f"sys/quotas/rate-limit/{trusting_mount}"
    vault_root.write(quota, {"path": f"auth/{trusting_mount}", "rate": 1, "interval": "1h"})
    try:
        jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token())
        with pytest.raises(RateLimited) as caught:
            jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token())
    finally:
        vault_root.delete(quota)
    assert caught.value.status == 429


def test_the_same_login_works_inside_a_namespace(vault, vault_root, issuer, unique):
    name = unique("team")
    vault_root.write(f"sys/namespaces/{name}")
    inside = vault_root.in_namespace(name)
    inside.write("sys/auth/jwt", {"type": "jwt"})
    with pytest.raises(refusals.AuthMountNotFound):
        jwt_login(vault, mount="jwt", role="deploy", jwt=issuer.token())
    inside.write("auth/jwt/config", {"jwks_url": issuer.jwks_url, "bound_issuer": issuer.url})
    inside.write("auth/jwt/role/r", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE]})
    login = jwt_login(vault.in_namespace(f"/{name}/"), mount="jwt", role="r", jwt=issuer.token())
    assert vault.in_namespace(name).with_token(login.client_token).read("auth/token/lookup-self").data["policies"]


def test_the_vaults_own_role_of_the_guide_binds_organization_and_kind_alone(vault, issuer, trusting_mount, write_role):
    """env0's guide: user_claim=sub, organizationId and apiKeyType bound, nothing else."""
    facts = {"organizationId": issuer.facts["organizationId"], "apiKeyType": "oidc"}
    role = write_role(user_claim="sub", bound_claims=facts, token_policies=None, policies=["env0-access"])
    login = jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token())
    assert "env0-access" in login.policies
    with pytest.raises(refusals.BoundClaim):
        jwt_login(vault, mount=trusting_mount, role=role, jwt=issuer.token(organizationId="another"))


def test_a_batch_token_says_that_it_is_one(vault, issuer, trusting_mount, write_role):
    login = jwt_login(vault, mount=trusting_mount, role=write_role(token_type="batch"), jwt=issuer.token())
    assert login.is_batch
    assert not login.accessor
    assert not login.renewable


def test_the_body_names_role_and_jwt_as_vault_does(issuer):
    jwt = issuer.token()
    with (
        answering(http(200, '{"data": {}}')) as server,
        VaultClient(server.address, namespace="a/b") as client,
        pytest.raises(AnswerNotUnderstood, match="gave no token"),
    ):
        jwt_login(client, mount="/team jwt/", role="deploy", jwt=jwt)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/auth/team%20jwt/login HTTP/1.1")
    assert b"x-vault-namespace: a/b" in head.lower()
    assert b"x-vault-request: true" in head.lower()
    assert b"x-vault-token" not in head.lower()
    assert json.loads(body) == {"role": "deploy", "jwt": jwt.reveal()}
