import json
import shlex
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runpass.vault.commands import as_bao_commands
from runpass.vault.desired import (
    KV_PATH,
    AuthMount,
    DesiredState,
    Guide,
    JwtConfig,
    KvMount,
    Policy,
    Role,
    guide,
    read_policy,
    requests,
)
from runpass.vault.difference import ActualState, difference
from runpass.vault.errors import PathInvalid, SetupConflict
from runpass.vault.key_sources import JwksUrl

FACTS = Guide(
    issuer="https://runpass.test/",
    jwks_url="https://runpass.test/.well-known/jwks.json",
    audience="https://prod.runpass.test",
    organization_id=uuid4(),
    credential_id=uuid4(),
    role_name="Deploy",
)


def test_the_guides_role_binds_the_credential_to_its_projects():
    projects = (uuid4(), uuid4())
    role = guide(replace(FACTS, project_ids=projects, token_explicit_max_ttl=timedelta(hours=8))).roles[0]
    written = role.parameters()
    assert role.name == "deploy"
    assert written["user_claim"] == "environmentId"
    assert written["bound_audiences"] == ["https://prod.runpass.test"]
    assert written["bound_claims"] == {
        "organizationId": str(FACTS.organization_id),
        "apiKeyType": "oidc",
        "credentialId": str(FACTS.credential_id),
        "projectId": sorted(map(str, projects)),
    }
    assert written["token_ttl"] == 120
    assert written["token_explicit_max_ttl"] == 8 * 3600
    assert written["claim_mappings"]["deploymentLogId"] == "deploymentLogId"
    assert "projectId" not in guide(FACTS).roles[0].bound_claims


def test_every_owned_parameter_of_a_role_is_written_even_when_empty():
    empty = Role(name="r", user_claim="sub", bound_audiences=(), bound_claims={}, token_policies=())
    assert empty.parameters().keys() == guide(FACTS).roles[0].parameters().keys()
    for name in ("bound_claims_type", "role_type", "bound_subject", "groups_claim", "token_period", "claim_mappings"):
        assert name in empty.parameters()


def test_requests_come_in_an_order_that_works():
    state = guide(replace(FACTS, namespace="a/b"))
    assert [(request.namespace, request.path) for request in requests(state)] == [
        ("", "sys/namespaces/a"),
        ("a", "sys/namespaces/b"),
        ("a/b", "sys/auth/jwt"),
        ("a/b", "auth/jwt/config"),
        ("a/b", "sys/mounts/secrets-for-runpass"),
        ("a/b", "sys/policies/acl/runpass-read-secrets-for-runpass"),
        ("a/b", "auth/jwt/role/deploy"),
    ]


def test_the_policy_reads_one_engine_and_nothing_else():
    assert read_policy("kv", 1) == 'path "kv/*" {\n  capabilities = ["read", "list"]\n}\n'
    assert 'path "kv/data/*"' in read_policy("kv", 2)
    assert "update" not in read_policy("kv", 2)


@pytest.mark.parametrize("path", ["*", "kv*", "+", "a/+", "{{identity.entity.name}}", 'kv" {} path "*'])
def test_a_kv_path_that_would_widen_the_policy_is_refused(path):
    with pytest.raises(PathInvalid):
        guide(replace(FACTS, kv_path=path))


@pytest.mark.parametrize("change", [
    {"mount": "../sys"}, {"kv_path": ""}, {"role_name": "a/b"}, {"role_name": "-x"}, {"policy_name": "a b"},
    {"namespace": "a//b"},
])  # fmt: skip
def test_names_that_vault_could_not_mean_are_refused(change):
    with pytest.raises(PathInvalid):
        guide(replace(FACTS, **change))


ANYTHING = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
CLAIM = st.one_of(
    ANYTHING, st.integers(-9, 9), st.booleans(), st.lists(ANYTHING | st.booleans(), max_size=3).map(tuple)
)


@st.composite
def states(draw) -> DesiredState:
    name = st.text("abc", min_size=1, max_size=3)
    role = st.builds(
        Role,
        name=name,
        user_claim=ANYTHING,
        bound_audiences=st.lists(ANYTHING.map(str.strip), max_size=3).map(tuple),
        bound_claims=st.dictionaries(ANYTHING, CLAIM, max_size=3),
        token_policies=st.lists(ANYTHING, max_size=3).map(tuple),
        claim_mappings=st.dictionaries(ANYTHING, ANYTHING, max_size=2),
        token_type=st.sampled_from(["default", "service", "batch"]),
    )
    config = JwtConfig(
        keys=JwksUrl(draw(ANYTHING)), bound_issuer=draw(ANYTHING), default_role=draw(st.none() | ANYTHING)
    )
    return DesiredState(
        auth=AuthMount(path="jwt", config=config, description=draw(ANYTHING)),
        namespace=draw(st.sampled_from(["", "a", "a/b"])),
        kv_mounts=tuple(
            draw(st.lists(st.builds(KvMount, path=st.just("kv"), version=st.sampled_from([1, 2])), max_size=1))
        ),
        policies=tuple(
            draw(
                st.lists(
                    st.builds(Policy, name=name, text=st.text(max_size=30)), max_size=2, unique_by=lambda p: p.name
                )
            )
        ),
        roles=tuple(draw(st.lists(role, max_size=2, unique_by=lambda found: found.name))),
    )


def read_back(state: DesiredState) -> ActualState:
    """What a Vault would show of a state that was written to it."""

    def stored(value):
        return value if not isinstance(value, list) else list(reversed(value))

    def role_back(role: Role):
        written = {name: stored(value) for name, value in role.parameters().items()}
        return {name: None if value in ([], {}) else value for name, value in written.items()} | {"max_age": 0}

    return ActualState(
        auth_type="jwt",
        config={**state.auth.config.parameters(), "status": "valid", "jwks_pairs": []},
        kv={
            (state.namespace, kv.path): {"type": "kv", "options": {"version": "2"} if kv.version == 2 else {}}
            for kv in state.kv_mounts
        },
        policies={policy.name: policy.text for policy in state.policies},
        roles={role.name: role_back(role) for role in state.roles},
    )


@settings(max_examples=50)
@given(states())
def test_what_was_written_shows_no_difference(state):
    assert difference(state, read_back(state)) == ()


@settings(max_examples=50)
@given(states())
def test_an_empty_vault_needs_every_request_in_order(state):
    missing = tuple("/".join(state.namespace.split("/")[: n + 1]) for n in range(2)) if state.namespace else ()
    changes = difference(state, ActualState(missing_namespaces=missing))
    assert [change.request for change in changes] == list(requests(state))


def test_a_change_names_what_differs_and_no_value():
    state = guide(FACTS)
    actual = read_back(state)
    drifted = {**actual.roles["deploy"], "token_ttl": 3600, "bound_claims_type": "glob"}
    (change,) = difference(state, replace(actual, roles={"deploy": drifted}))
    assert str(change) == "update role deploy (bound_claims_type, token_ttl)"


@pytest.mark.parametrize("claims", [{"a": True}, {"a": 1}, {"a": "true"}, {"a": ["true"]}])
def test_bound_claims_keep_the_types_of_json(claims):
    role = Role(name="r", user_claim="s", bound_audiences=(), bound_claims={"a": "1"}, token_policies=())
    state = replace(guide(FACTS), roles=(role,))
    actual = read_back(state)
    assert difference(state, replace(actual, roles={"r": {**actual.roles["r"], "bound_claims": claims}}))


def test_what_belongs_to_somebody_else_is_a_conflict():
    state = guide(FACTS)
    actual = read_back(state)
    for other in (
        replace(actual, auth_type="userpass"),
        replace(actual, kv={("", KV_PATH): {"type": "kv", "options": {}}}),
        replace(actual, kv={("", KV_PATH): {"type": "pki", "options": None}}),
        replace(actual, config={"oidc_discovery_url": "https://other.test", "bound_issuer": FACTS.issuer}),
        replace(actual, config={"jwks_url": "https://other.test/jwks", "bound_issuer": "https://other.test"}),
    ):
        with pytest.raises(SetupConflict):
            difference(state, other)


def test_commands_are_quoted_and_their_json_is_what_is_asked_for():
    config = JwtConfig(keys=JwksUrl("https://x/$(touch canary)"), bound_issuer="`id`'\"")
    auth = AuthMount(path="team's jwt", config=config, description="$HOME; rm -rf '")
    policy = Policy(name="p", text='# END\nEND\nEND_\npath "x" {}')
    script = as_bao_commands(replace(guide(FACTS), auth=auth, policies=(policy,), namespace="a b"), "/opt/b ao")
    start, first, *_ = script.split("\n\n")
    assert start == "(\nset -eu"
    assert script.endswith("\n)\n")
    assert shlex.split(first) == ["/opt/b ao", "namespace", "create", "a b"]
    enable = next(line for line in script.splitlines() if " auth enable " in line)
    assert shlex.split(enable)[3:] == ["-namespace=a b", "-path=team's jwt", "-description=$HOME; rm -rf '", "jwt"]
    body = script.split("/config' - <<'END'\n")[1] if "/config' - <<'END'\n" in script else None
    assert body is None or json.loads(body.split("\nEND\n")[0])["bound_issuer"] == "`id`'\""
    assert "<<'END__'\n# END\nEND\nEND_\npath \"x\" {}\nEND__" in script
