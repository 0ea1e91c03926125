"""`setup` and the printed commands, on a real OpenBao, and the login that they make possible."""

import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runpass.local.openbao_binary import find_binary
from runpass.secret import Secret
from runpass.vault import refusals
from runpass.vault.commands import as_bao_commands
from runpass.vault.desired import Guide, Role, guide, requests
from runpass.vault.errors import PolicyDenied, RequestRefused, SetupConflict
from runpass.vault.login import jwt_login
from runpass.vault.reconcile import plan, setup
from runpass.vault.secrets import SecretReference
from runpass.vault.session import Revocation, VaultSession
from throwaway_issuer import AUDIENCE


@pytest.fixture
def facts(issuer, unique) -> Guide:
    return Guide(
        issuer=issuer.url,
        jwks_url=issuer.jwks_url,
        audience=AUDIENCE,
        organization_id=UUID(issuer.facts["organizationId"]),
        credential_id=UUID(issuer.facts["credentialId"]),
        project_ids=(UUID(issuer.facts["projectId"]), uuid4()),
        role_name=unique("Deploy"),
        mount=unique("jwt"),
        kv_path=unique("secrets"),
        policy_name=unique("Read"),
    )


def said(changes) -> list[str]:
    return [str(change).split(" ")[0] + " " + str(change).split(" ")[1] for change in changes]


def test_setup_makes_everything_once_and_the_run_reads_its_secret(vault, vault_root, issuer, facts):
    state = guide(facts)
    assert said(setup(vault_root, state)) == [
        "create auth", "create config", "create KV", "create policy", "create role",
    ]  # fmt: skip
    assert setup(vault_root, state) == ()
    vault_root.write(f"{facts.kv_path}/data/app", {"data": {"x": "value"}})
    reference = SecretReference(f"{facts.kv_path}/app", "x")
    jwt = issuer.token(deploymentLogId="d-1")
    with VaultSession.login(vault, mount=facts.mount, role=facts.role_name, jwt=jwt) as session:
        assert session.read_secrets([reference])[reference].reveal() == "value"
        assert session.granted.ttl == timedelta(seconds=120)
        assert session.granted.metadata["deploymentLogId"] == "d-1"
        assert session.client.read("auth/token/lookup-self").data["explicit_max_ttl"] == 3600
        with pytest.raises(PolicyDenied):
            session.client.write(f"{facts.kv_path}/data/app", {"data": {"x": "changed"}})
        assert session.revoke() is Revocation.REVOKED


@pytest.mark.parametrize("claim", ["organizationId", "projectId", "credentialId", "apiKeyType"])
def test_the_guides_role_refuses_every_other_run(claim, vault, vault_root, issuer, facts):
    setup(vault_root, guide(facts))
    with pytest.raises(refusals.BoundClaim):
        jwt_login(vault, mount=facts.mount, role=facts.role_name, jwt=issuer.token(**{claim: str(uuid4())}))


def test_setup_repairs_what_drifted_and_nothing_else(vault, vault_root, issuer, facts):
    state = guide(facts)
    setup(vault_root, state)
    role, policy = state.roles[0].name, state.policies[0].name
    vault_root.write(f"auth/{facts.mount}/role/{role}", {
        "role_type": "jwt", "bound_claims": {"apiKeyType": "oidc"}, "token_policies": ["other"], "token_ttl": "1h",
        "bound_claims_type": "glob", "token_bound_cidrs": ["127.0.0.1"],
    })  # fmt: skip
    vault_root.write(f"auth/{facts.mount}/config", {
        "jwks_url": issuer.jwks_url, "bound_issuer": "https://drifted.test", "default_role": "kept",
    })  # fmt: skip
    vault_root.write(f"sys/policies/acl/{policy}", {"policy": 'path "x" { capabilities = ["read"] }'})
    changes = setup(vault_root, state)
    assert [(change.action, set(change.parameters)) for change in changes] == [
        ("update", {"bound_issuer"}),
        ("update", set()),
        ("update", {"bound_claims", "bound_claims_type", "token_policies", "token_ttl"}),
    ]
    assert setup(vault_root, state) == ()
    assert vault_root.read(f"auth/{facts.mount}/config").data["default_role"] == "kept"
    assert vault_root.read(f"auth/{facts.mount}/role/{role}").data["token_bound_cidrs"] == ["127.0.0.1"]
    assert jwt_login(vault, mount=facts.mount, role=role, jwt=issuer.token()).policies == ("default", policy)


def test_an_unchanged_config_is_not_written_again(vault_root, own_issuer, facts):
    state = guide(replace(facts, issuer=own_issuer.url, jwks_url=own_issuer.jwks_url))
    setup(vault_root, state)
    fetches = own_issuer.fetches
    setup(vault_root, state)
    setup(vault_root, replace(state, roles=(replace(state.roles[0], token_ttl=timedelta(seconds=60)),)))
    assert own_issuer.fetches == fetches == 1


def test_a_plan_writes_nothing(vault_root, facts):
    state = guide(facts)
    assert plan(vault_root, state) == plan(vault_root, state) != ()


def test_every_parameter_of_a_role_survives_a_round_trip(vault_root, facts):
    state = guide(facts)
    role = Role(
        name="wide",
        user_claim="sub",
        bound_audiences=("b", "a", "a"),
        bound_claims={"flag": True, "n": 7, "list": ("y", 1, False), "/json/pointer": "x"},
        token_policies=("B", "a"),
        bound_subject="somebody",
        claim_mappings={"x": "y"},
        token_ttl=timedelta(minutes=5),
        token_max_ttl=timedelta(hours=2),
        token_explicit_max_ttl=timedelta(0),
        token_type="default",
        token_bound_cidrs=("127.0.0.1/32", "10.0.0.0/8"),
    )
    config = replace(state.auth.config, jwt_supported_algs=("ES256", "RS256"), default_role="Wide")
    whole = replace(state, roles=(role,), auth=replace(state.auth, config=config))
    assert setup(vault_root, whole)
    assert setup(vault_root, whole) == ()


@pytest.mark.parametrize("version", [1, 2])
def test_both_kv_versions_are_set_up_and_readable(version, vault, vault_root, issuer, facts):
    facts = replace(facts, kv_version=version)
    setup(vault_root, guide(facts))
    assert setup(vault_root, guide(facts)) == ()
    wrapped = {"data": {"x": "1"}} if version == 2 else {"x": "1"}
    vault_root.write(f"{facts.kv_path}/data/app" if version == 2 else f"{facts.kv_path}/app", wrapped)
    with VaultSession.login(vault, mount=facts.mount, role=facts.role_name, jwt=issuer.token()) as session:
        reference = SecretReference(f"{facts.kv_path}/app", "x")
        assert session.read_secrets([reference])[reference].reveal() == "1"


def test_nested_namespaces_are_made_from_the_top(vault, vault_root, issuer, facts, unique):
    facts = replace(facts, namespace=f"/{unique('team')}/a/")
    assert said(setup(vault_root, guide(facts)))[:2] == ["create namespace", "create namespace"]
    assert setup(vault_root, guide(facts)) == ()
    inside = vault.in_namespace(facts.namespace)
    assert jwt_login(inside, mount=facts.mount, role=facts.role_name, jwt=issuer.token()).client_token


def test_another_issuers_mount_is_left_alone_unless_told_otherwise(vault_root, own_issuer, facts):
    setup(vault_root, guide(facts))
    other = guide(replace(facts, issuer=own_issuer.url, jwks_url=own_issuer.jwks_url))
    with pytest.raises(SetupConflict, match="trusts somebody else"):
        setup(vault_root, other)
    assert said(setup(vault_root, other, take_over=True)) == ["update config"]
    assert setup(vault_root, other) == ()


def test_a_mount_with_static_keys_is_somebody_elses(vault_root, trusting_mount, issuer, facts):
    pem = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    config = {"jwt_validation_pubkeys": [pem], "bound_issuer": issuer.url}
    vault_root.write(f"auth/{trusting_mount}/config", config)
    state = guide(replace(facts, mount=trusting_mount))
    with pytest.raises(SetupConflict):
        setup(vault_root, state)
    assert setup(vault_root, state, take_over=True)
    assert setup(vault_root, state) == ()


def test_what_stands_in_the_place_is_not_replaced(vault_root, kv1_mount, facts, unique):
    with pytest.raises(SetupConflict, match="version 1 of kv, not version 2"):
        setup(vault_root, guide(replace(facts, kv_path=kv1_mount)))
    users = unique("users")
    vault_root.write(f"sys/auth/{users}", {"type": "userpass"})
    with pytest.raises(SetupConflict, match="userpass"):
        setup(vault_root, guide(replace(facts, mount=users)))
    with pytest.raises(SetupConflict, match="cubbyhole"):
        setup(vault_root, guide(replace(facts, kv_path="cubbyhole")))


def test_a_missing_right_is_named(vault_root, facts, allow, token_with):
    with pytest.raises(PolicyDenied, match="capability read on sys/auth"):
        setup(token_with("default"), guide(facts))
    reader = allow('path "*" { capabilities = ["read"] }')
    with pytest.raises(PolicyDenied, match=f"update and sudo on sys/auth/{facts.mount}; .*update on sys/policies"):
        setup(token_with(reader), guide(facts))


def test_an_issuer_that_the_vault_cannot_reach_is_told(vault_root, facts):
    with pytest.raises(RequestRefused, match="create config") as caught:
        setup(vault_root, guide(replace(facts, jwks_url="http://127.0.0.1:1/jwks")))
    assert "jwks_url" in caught.value.hint
    assert caught.value.vault_error == "error checking jwks URL"


def run_printed(openbao, state, home):
    return subprocess.run(
        ["sh"],
        input=as_bao_commands(state, str(find_binary())),
        env={
            "BAO_ADDR": openbao.address,
            "BAO_TOKEN": openbao.root_token.reveal(),
            "PATH": os.environ["PATH"],
            "HOME": str(home),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("depth", [0, 2])
def test_the_printed_commands_do_the_same(depth, openbao, vault_root, facts, tmp_path):
    state = guide(replace(facts, namespace="/".join([f"of-{facts.mount}", "child"][:depth])))
    run = run_printed(openbao, state, tmp_path)
    assert run.returncode == 0, run.stderr
    assert plan(vault_root, state) == ()


def test_the_printed_commands_do_not_take_over_an_auth_method_of_somebody_else(openbao, vault_root, facts, tmp_path):
    setup(vault_root, guide(facts))
    ours = vault_root.read(f"auth/{facts.mount}/config").data
    run = run_printed(openbao, guide(replace(facts, issuer="https://other.example/")), tmp_path)
    assert run.returncode != 0
    assert "already in use" in run.stderr
    assert vault_root.read(f"auth/{facts.mount}/config").data == ours


def test_the_requests_do_the_same(vault_root, facts, unique):
    state = guide(replace(facts, namespace=unique("ns")))
    for request in requests(state):
        vault_root.in_namespace(request.namespace).request(request.method, request.path, request.data)
    assert plan(vault_root, state) == ()


def test_the_reconcilers_least_rights_are_enough(vault_root, facts, allow, token_with):
    mount = facts.mount
    policy = allow(f"""
        path "sys/auth" {{ capabilities = ["read"] }}
        path "sys/auth/{mount}" {{ capabilities = ["create", "update", "sudo"] }}
        path "auth/{mount}/config" {{ capabilities = ["read", "update"] }}
        path "auth/{mount}/role/*" {{ capabilities = ["read", "create", "update"] }}
        path "sys/mounts" {{ capabilities = ["read"] }}
        path "sys/mounts/{facts.kv_path}" {{ capabilities = ["update"] }}
        path "sys/policies/acl/{facts.policy_name.lower()}" {{ capabilities = ["read", "update"] }}
    """)
    operator = token_with(policy)
    assert len(setup(operator, guide(facts))) == 5
    assert setup(operator, guide(facts)) == ()


def test_a_namespaced_operator_needs_nothing_outside(vault_root, facts, unique):
    name = unique("team")
    vault_root.write(f"sys/namespaces/{name}")
    inside = vault_root.in_namespace(name)
    inside.write("sys/policies/acl/all", {
        "policy": 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
    })  # fmt: skip
    token = inside.write("auth/token/create", {"policies": ["all"]}).auth["client_token"]
    operator = inside.with_token(Secret(token))
    state = guide(replace(facts, namespace=name))
    assert len(setup(operator, state)) == 5
    assert setup(operator, state) == ()
