"""The doctor at a real OpenBao: from the mount to the login."""

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from doctor_scene import PAST, QUICK, examined, failed, tokens
from fake_servers import answering
from runpass.clock import SYSTEM_CLOCK
from runpass.secret import Secret
from runpass.vault.doctor.diagnosis import diagnose
from runpass.vault.doctor.examination import Examination
from runpass.vault.doctor.model import DoctorTarget, Expected, Knowledge, Limits, ProbeTokens, Verdict
from throwaway_issuer import AUDIENCE


def test_a_good_setup_is_ok_all_through_and_leaves_no_token(issuer, target, write_role, reading, living):
    policy, kv = reading
    write_role(token_policies=[policy], token_explicit_max_ttl=3600)
    chosen = target(secrets=(f"{kv}/app.password", f"{kv}/app"))
    results = examined(chosen, tokens(issuer))
    assert failed(results) == set()
    expected_ok = {
        "address", "dns", "tcp", "server", "clock", "namespace", "mount", "role", "client_address", "issuer_keys",
        "expired_token", "login", "token", "secret", "revocation",
    }  # fmt: skip
    assert {name for name, item in results.items() if item.verdict is Verdict.OK} == expected_ok
    assert "canary-value" not in str([item.to_json() for item in results.values()])
    assert f"KV version 2 at {kv}/, capabilities read" in results["secret"].seen
    assert living(chosen.mount) == 0


def test_without_tokens_everything_before_the_login_is_looked_at(target, write_role):
    write_role()
    results = examined(target())
    assert failed(results) == set()
    for name in ("expired_token", "login", "token", "secret"):
        assert results[name].verdict is Verdict.SKIPPED
    assert "a runner of the project" in results["login"].next_step
    assert results["revocation"].verdict is Verdict.OK


def test_a_role_that_accepts_expired_tokens_is_told_and_the_token_revoked_at_once(issuer, target, write_role, living):
    # No leeway of a day lets in a token of 1970; one of two lifetimes does.
    write_role(clock_skew_leeway=4_000_000_000)
    chosen = target()
    results = diagnose(chosen, tokens(issuer), limits=QUICK)
    for item in results:
        if item.check == "expired_token":
            assert item.verdict is Verdict.FAILED
            assert "accepts a token that expired in 1970; its token is revoked" in item.seen
            assert "clock_skew_leeway" in item.next_step
            assert living(chosen.mount) == 0
    assert living(chosen.mount) == 0


def test_a_leeway_of_hours_does_not_fool_the_probe(issuer, target, write_role):
    write_role(clock_skew_leeway=86_400)
    assert examined(target(), tokens(issuer))["expired_token"].verdict is Verdict.OK


REFUSED = {
    "audience": {"aud": "https://other.test"},
    "issuer": {"iss": "https://other.test"},
    "subject": {"sub": "other"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_token_of_1970_tells_what_is_wrong_before_any_real_login(what, issuer, target, write_role):
    write_role(bound_subject="run")
    results = examined(target(), ProbeTokens(expired=issuer.token(**PAST, **REFUSED[what])))
    assert failed(results) == {"expired_token"}
    assert what in results["expired_token"].seen
    assert results["expired_token"].next_step


def test_a_claim_that_is_not_bound_so_shows_at_the_login_alone(issuer, target, write_role):
    write_role(bound_claims={"projectId": "another"})
    results = examined(target(), tokens(issuer))
    assert failed(results) == {"login"}
    assert 'claim "projectId" does not match' in results["login"].seen
    assert results["secret"].verdict is Verdict.SKIPPED


def test_a_mount_that_is_not_there_brings_one_that_is(target, write_role, trusting_mount):
    write_role()
    results = examined(target(mount=trusting_mount.upper()))
    assert failed(results) == {"mount"}
    assert f"auth/{trusting_mount}" in results["mount"].next_step
    assert results["role"].verdict is Verdict.SKIPPED
    assert failed(examined(target(mount="nothing-like-it"))) == {"mount"}


def test_a_mount_of_another_namespace_is_found(vault_root, target, write_role, unique, trusting_mount):
    write_role()
    namespace = unique("team")
    vault_root.write(f"sys/namespaces/{namespace}")
    results = examined(target(namespace=namespace))
    assert failed(results) == {"mount"}
    assert f"auth/{trusting_mount} in the root namespace" in results["mount"].next_step


def test_a_namespace_that_is_not_there_is_told_with_the_part_that_is(vault_root, target, unique):
    namespace = unique("team")
    vault_root.write(f"sys/namespaces/{namespace}")
    results = examined(target(namespace=f"{namespace}/nowhere/deeper"))
    assert failed(results) == {"namespace"}
    assert f"there is no namespace {namespace}/nowhere ({namespace} exists)" in results["namespace"].seen
    results = examined(target(secret_namespace=namespace.upper()))
    assert f"Did you mean {namespace}?" in results["namespace"].next_step


@pytest.mark.parametrize(
    ("kind", "said"), [("approle", "AppRole"), ("cert", "TLS certificates"), ("userpass", "wants")]
)
def test_another_kind_of_auth_method_is_told(vault_root, target, unique, kind, said):
    mount = unique(kind)
    vault_root.write(f"sys/auth/{mount}", {"type": kind})
    results = examined(target(mount=mount))
    assert failed(results) == {"mount"}
    assert said in results["mount"].seen


def test_a_mount_without_config_is_told(vault_root, target, unique):
    mount = unique("jwt")
    vault_root.write(f"sys/auth/{mount}", {"type": "jwt"})
    results = examined(target(mount=mount))
    assert failed(results) == {"mount"}
    assert "not configured" in results["mount"].seen


def test_a_role_that_is_not_there_brings_one_that_is(target, write_role):
    write_role("deploy-app")
    results = examined(target(role="deploy_app"))
    assert failed(results) == {"role"}
    assert results["role"].next_step == "Did you mean deploy-app?"
    assert failed(examined(target(role="nobody"))) == {"role"}


def test_an_operators_token_lists_the_roles(openbao, target, write_role):
    write_role("production-deployments")
    operator = Knowledge(operator_token=openbao.root_token)
    results = examined(target(role="prod-deployments"), knowledge=operator)
    assert results["role"].next_step == "Did you mean production-deployments?"


def test_a_cel_role_and_a_browser_role_are_told(vault_root, target, trusting_mount, write_role):
    vault_root.write(f"auth/{trusting_mount}/cel/role/program", {"cel_program": {"expression": "false"}})
    assert "CEL role" in examined(target(role="program"))["role"].seen
    write_role("browser", role_type="oidc", allowed_redirect_uris=["http://localhost/cb"], bound_audiences=None)
    assert "oidc role" in examined(target(role="browser"))["role"].seen


def test_an_address_that_the_role_excludes_is_told_apart_from_a_wrong_mount(issuer, target, write_role):
    write_role(token_bound_cidrs=["192.0.2.1/32"])
    results = examined(target(), tokens(issuer))
    assert failed(results) == {"client_address"}
    assert "token_bound_cidrs" in results["client_address"].next_step
    assert results["login"].verdict is Verdict.SKIPPED


@pytest.fixture
def changing(vault_root, own_issuer, jwt_mount, openbao):
    """A target whose issuer this test may break."""
    vault_root.write(f"auth/{jwt_mount}/config", {"jwks_url": own_issuer.jwks_url, "bound_issuer": own_issuer.url})
    role = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [AUDIENCE], "token_ttl": 60}
    vault_root.write(f"auth/{jwt_mount}/role/deploy", role)
    return DoctorTarget(address=openbao.address, role="deploy", mount=jwt_mount)


def test_an_issuer_that_answers_with_an_error_is_told_though_the_login_may_work(changing, own_issuer):
    assert failed(examined(changing, tokens(own_issuer))) == set()
    own_issuer.status, own_issuer.body = 500, b"<html>canary</html>\x1b[31m"
    results = examined(changing, tokens(own_issuer))
    assert failed(results) == {"issuer_keys"}  # the key of the login is still known
    assert "an error" in results["issuer_keys"].next_step
    assert results["issuer_keys"].seen.isprintable()


ED448 = {"keys": [{"kty": "OKP", "crv": "Ed448", "kid": "x", "x": "AAAA"}]}


@pytest.mark.parametrize("body", [b"<html>", b"{", json.dumps(ED448).encode()])
def test_keys_that_the_vault_cannot_read_are_told(changing, own_issuer, body):
    own_issuer.body = body
    results = examined(changing)
    assert failed(results) == {"issuer_keys"}
    assert "cannot read" in results["issuer_keys"].next_step


def test_an_issuer_that_is_down_for_the_vault_is_told(vault_root, changing, own_issuer, jwt_mount):
    dead = {"jwks_url": "http://127.0.0.1:1/jwks", "bound_issuer": own_issuer.url, "skip_jwks_validation": True}
    vault_root.write(f"auth/{jwt_mount}/config", dead)
    results = examined(changing, tokens(own_issuer))
    assert failed(results) == {"issuer_keys", "expired_token", "login"}
    assert "Nobody answers at the issuer's host and port" in results["issuer_keys"].next_step


def test_an_issuer_that_stalls_is_told_apart_from_a_vault_that_does(vault_root, changing, own_issuer, jwt_mount):
    with answering(b"", hold=True) as stalling:
        config = {"jwks_url": stalling.address, "bound_issuer": own_issuer.url, "skip_jwks_validation": True}
        vault_root.write(f"auth/{jwt_mount}/config", config)
        results = {item.check: item for item in diagnose(changing, limits=Limits(request_seconds=0.5))}
    assert failed(results) == {"issuer_keys"}
    assert "waits for the issuer" in results["issuer_keys"].next_step


def test_keys_that_are_pinned_need_no_issuer(vault_root, changing, own_issuer, jwt_mount):
    pem = own_issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    vault_root.write(f"auth/{jwt_mount}/config", {"jwt_validation_pubkeys": [pem], "bound_issuer": own_issuer.url})
    results = examined(changing, tokens(own_issuer))
    assert failed(results) == set()
    assert "written into the config" in results["issuer_keys"].seen


def test_a_token_of_another_key_is_told(issuer, target, write_role):
    write_role()
    other = ec.generate_private_key(ec.SECP256R1())
    given = ProbeTokens(expired=issuer.token(key=other, **PAST), login=issuer.token(key=other))
    results = examined(target(), given)
    assert failed(results) == {"expired_token", "login"}
    assert "fits none of the keys" in results["login"].seen


def test_an_operators_token_shows_weak_spots_and_what_does_not_fit(openbao, vault_root, issuer, target, write_role):
    write_role(bound_claims={"organizationId": issuer.facts["organizationId"], "projectId": ["one"]})
    expected = Expected(
        issuer=f"{issuer.url}/",
        jwks_url=issuer.jwks_url,
        audience=AUDIENCE,
        claims={"organizationId": (issuer.facts["organizationId"],), "projectId": ("one", "two")},
    )
    operator = Knowledge(operator_token=openbao.root_token, expected=expected)
    results = examined(target(), knowledge=operator)
    assert results["role_text"].verdict is Verdict.OK
    assert results["weak_spots"].verdict is Verdict.WARNING
    assert "credential_not_bound" in results["weak_spots"].seen
    wrong = {item.name: item for item in results["expectations"].explained if item.passed is False}
    assert set(wrong) == {"bound_issuer", "bound_claims.projectId"}
    assert wrong["bound_issuer"].expected == issuer.url
    assert wrong["bound_issuer"].received == f"{issuer.url}/"
    assert wrong["bound_claims.projectId"].fix == "Add two."
    assert openbao.root_token.reveal() not in str([item.to_json() for item in results.values()])
    for shared, own, right in (("https://shared.test", issuer.jwks_url, True), ("https://shared.test", None, False)):
        knowledge = replace(operator, expected=replace(expected, jwks_url=shared, own_jwks_url=own))
        explained = examined(target(), knowledge=knowledge)["expectations"].explained
        assert [item.passed for item in explained if item.name == "jwks_url"] == [right]


def test_a_refused_login_is_explained_to_who_may_read_the_role(openbao, issuer, target, write_role):
    write_role(bound_claims={"projectId": "another", "apiKeyType": "oidc"}, groups_claim="groups")
    operator = Knowledge(operator_token=openbao.root_token, jwks=json.loads(issuer.jwks()))
    given = tokens(issuer)
    for which in (given, ProbeTokens(expired=given.expired)):
        found = examined(target(), which, knowledge=operator)["explanation"]
        assert found.verdict is Verdict.FAILED
        wrong = {item.name: item for item in found.explained if item.passed is False}
        assert len(wrong) == 2
        claim = next(item for name, item in wrong.items() if "projectId" in name)
        assert "another" in claim.expected
        assert issuer.facts["projectId"] in claim.received
        assert found.next_step
    write_role(bound_claims={"apiKeyType": "oidc"}, groups_claim="")
    found = examined(target(), given, knowledge=operator)["explanation"]
    assert found.verdict is Verdict.OK
    assert all(item.passed is not False for item in found.explained)


def test_without_the_role_nothing_is_explained(issuer, target, write_role):
    write_role(bound_claims={"projectId": "another"})
    results = examined(target(), tokens(issuer))
    assert results["role_text"].verdict is Verdict.SKIPPED
    assert results["explanation"].verdict is Verdict.SKIPPED
    assert "operator's token" in results["role_text"].next_step


def test_a_role_that_the_runs_own_token_may_read_is_explained(issuer, target, write_role, allow, trusting_mount):
    policy = allow(f'path "auth/{trusting_mount}/*" {{ capabilities = ["read"] }}')
    write_role(token_policies=[policy])
    results = examined(target(), tokens(issuer))
    assert results["explanation"].verdict is Verdict.OK
    assert results["weak_spots"].verdict is Verdict.WARNING


def test_an_operators_token_does_not_cross_the_network_unencrypted():
    chosen = DoctorTarget(address="http://vault.example.com:8200", role="deploy")
    knowledge = Knowledge(operator_token=Secret("s.operator"))
    exam = Examination(chosen, ProbeTokens(), knowledge, QUICK, SYSTEM_CLOCK, host="vault.example.com")
    assert list(exam.readers()) == []
