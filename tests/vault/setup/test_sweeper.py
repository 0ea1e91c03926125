"""The sweeper's role: its tokens and a run's keep out of each other's role, and what the sweeper may do at a Vault."""

from dataclasses import replace
from uuid import UUID

import pytest

from declarations import as_toml, minimal
from runpass.protocol import sweeper as minted
from runpass.secret import Secret
from runpass.vault import refusals, sweeper
from runpass.vault.declaration.parsing import parse
from runpass.vault.declaration.state import Given, state_of
from runpass.vault.errors import PolicyDenied, SetupConflict, VaultFailure
from runpass.vault.login import jwt_login
from runpass.vault.reconcile import setup
from runpass.vault.sweeper import with_sweeper
from throwaway_issuer import ABSENT, AUDIENCE


@pytest.fixture
def organization(issuer) -> UUID:
    return UUID(issuer.facts["organizationId"])


@pytest.fixture
def state(vault_root, issuer):
    """A mount with a run's role and the sweeper's, as `apply` makes it."""
    content = minimal(issuer)
    role = next(iter(content["roles"].values()))
    role["audience"] = AUDIENCE
    content["issuer"]["url"] = f"{issuer.url}/"
    made = state_of(parse(as_toml(content), "declared.toml"), Given())
    setup(vault_root, made)
    return made


@pytest.fixture
def tokens(issuer, organization):
    """The two kinds of token, as the control plane mints them."""
    iss = f"{issuer.url}/"
    of_a_run = issuer.token(iss=iss, sub=str(organization))
    gone = dict.fromkeys(("projectId", "environmentId", "credentialId", "deploymentLogId", "deploymentType"), ABSENT)
    mine = {
        "sub": minted.subject(organization),
        "aud": minted.audience(organization),
        "apiKeyType": minted.API_KEY_TYPE,
    }
    return {"run": of_a_run, "sweeper": issuer.token(iss=iss, **gone, **mine)}


def log_in(vault, state, role, jwt):
    return jwt_login(vault, mount=state.auth.path, role=role, jwt=jwt)


def test_the_names_are_those_that_the_control_plane_mints(organization):
    assert (sweeper.NAME, sweeper.API_KEY_TYPE, sweeper.LIFETIME) == (
        minted.ROLE,
        minted.API_KEY_TYPE,
        minted.TOKEN_LIFETIME,
    )
    assert sweeper.subject(organization) == minted.subject(organization)
    assert sweeper.audience(organization) == minted.audience(organization)


def test_neither_kind_of_token_passes_at_the_others_role(vault, state, tokens):
    runs = state.roles[0].name
    assert log_in(vault, state, runs, tokens["run"]).client_token
    assert log_in(vault, state, sweeper.NAME, tokens["sweeper"]).client_token
    with pytest.raises(refusals.LoginRefused):
        log_in(vault, state, sweeper.NAME, tokens["run"])
    with pytest.raises(refusals.LoginRefused):
        log_in(vault, state, runs, tokens["sweeper"])


@pytest.mark.parametrize("claim", ["sub", "aud", "apiKeyType", "organizationId"])
def test_each_claim_alone_keeps_a_token_out(claim, vault, state, issuer, organization):
    mine = {
        "sub": minted.subject(organization),
        "aud": minted.audience(organization),
        "apiKeyType": minted.API_KEY_TYPE,
    }
    wrong = {"sub": str(organization), "aud": AUDIENCE, "apiKeyType": "oidc", "organizationId": "another"}
    with pytest.raises(refusals.LoginRefused):
        log_in(vault, state, sweeper.NAME, issuer.token(iss=f"{issuer.url}/", **{**mine, claim: wrong[claim]}))


def test_one_organizations_sweeper_is_refused_by_anothers_role(vault, state, issuer):
    other = UUID("0198c1f0-0000-7000-8000-00000000ffff")
    token = issuer.token(
        iss=f"{issuer.url}/",
        sub=minted.subject(other),
        aud=minted.audience(other),
        apiKeyType=minted.API_KEY_TYPE,
        organizationId=str(other),
    )
    with pytest.raises(refusals.LoginRefused):
        log_in(vault, state, sweeper.NAME, token)


def test_the_sweepers_token_revokes_by_accessor_and_can_do_nothing_else(vault, vault_root, state, tokens):
    left_behind = log_in(vault, state, state.roles[0].name, tokens["run"])
    login = log_in(vault, state, sweeper.NAME, tokens["sweeper"])
    assert login.policies == (sweeper.NAME,)
    assert login.ttl == sweeper.LIFETIME
    looked_up = vault_root.write("auth/token/lookup", {"token": login.client_token}).data
    assert looked_up["explicit_max_ttl"] == 60
    client = vault.with_token(login.client_token)
    accessor = left_behind.accessor.reveal()
    assert client.write("auth/token/lookup-accessor", {"accessor": accessor}).data["id"] == ""
    client.write("auth/token/revoke-accessor", {"accessor": accessor})
    with pytest.raises(VaultFailure):
        vault.with_token(left_behind.client_token).read("auth/token/lookup-self")
    for method, path in (
        ("GET", "auth/token/lookup-self"),
        ("POST", "auth/token/renew-self"),
        ("POST", "auth/token/create"),
        ("LIST", "auth/token/accessors"),
        ("POST", "sys/capabilities-self"),
        ("GET", "sys/auth"),
        ("GET", f"auth/{state.auth.path}/role/{sweeper.NAME}"),
        ("GET", f"{state.kv_mounts[0].path}/data/app"),
        ("POST", f"{state.kv_mounts[0].path}/data/app"),
    ):
        with pytest.raises(PolicyDenied):
            client.request(method, path, {"paths": ["x"]} if method == "POST" else None)


def test_the_sweeper_of_one_namespace_does_not_reach_into_another(vault, vault_root, state, tokens, unique):
    name = unique("ns")
    vault_root.write(f"sys/namespaces/{name}")
    inside = vault_root.in_namespace(name)
    other = inside.write("auth/token/create", {"policies": ["default"], "ttl": "5m"}).auth
    client = vault.with_token(log_in(vault, state, sweeper.NAME, tokens["sweeper"]).client_token)
    for view in (client, client.in_namespace(name)):
        with pytest.raises(VaultFailure):
            view.write("auth/token/revoke-accessor", {"accessor": other["accessor"]})
    assert inside.with_token(Secret(other["client_token"])).read("auth/token/lookup-self").data["id"]


def test_the_sweeper_of_another_organization_is_left_alone(vault_root, state):
    other = with_sweeper(replace(state, policies=(), roles=()), UUID("0198c1f0-0000-7000-8000-00000000ffff"))
    with pytest.raises(SetupConflict, match="another organization's"):
        setup(vault_root, other)
    planted = f"auth/{state.auth.path}/role/{sweeper.NAME}"
    vault_root.write(planted, {**state.roles[-1].parameters(), "bound_subject": "somebody", "token_ttl": 30})
    (change,) = setup(vault_root, state)
    assert set(change.parameters) == {"bound_subject", "token_ttl"}
