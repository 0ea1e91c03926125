"""The declarative file: every mistake is named with its line and field, and no value is repeated."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declarations import CREDENTIAL, ORGANIZATION, PROJECT, as_toml
from runpass.errors import InvalidInput
from runpass.vault.declaration.lines import lines_of
from runpass.vault.declaration.parsing import parse
from runpass.vault.declaration.state import Given, state_of
from runpass.vault.errors import PathInvalid

ROOT = Path(__file__).parents[4]
GOOD = f"""\
organization_id = "{ORGANIZATION}"
run_timeout = "30m"

[issuer]
url = "https://runpass.test/"

[kv.secrets]

[policies.read]
read_kv = "secrets"

[roles.deploy]
credential_id = "{CREDENTIAL}"
project_ids = [
  "{PROJECT}",
]
policies = ["read"]
"""


def refused(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse(text, "vault.toml")
    return caught.value


def with_role(line: str) -> str:
    """The good file with one line more in its role: line 18."""
    return GOOD + line + "\n"


def test_a_role_is_bound_to_one_audience_and_to_organization_project_and_credential():
    state = state_of(parse(GOOD, "vault.toml"), Given())
    role = state.roles[0].parameters()
    assert role["bound_audiences"] == ["https://runpass.test"]
    assert role["bound_claims"] == {
        "organizationId": ORGANIZATION,
        "apiKeyType": "oidc",
        "credentialId": CREDENTIAL,
        "projectId": [PROJECT],
    }
    assert (role["user_claim"], role["bound_claims_type"], role["token_type"]) == ("environmentId", "string", "service")
    assert (role["token_ttl"], role["token_explicit_max_ttl"]) == (120, 1800)
    assert role["claim_mappings"]["deploymentLogId"] == "deploymentLogId"
    assert [item.name for item in state.roles] == ["deploy", "runpass-sweeper"]


def test_phases_are_bound_where_they_are_said():
    role = state_of(parse(with_role('phases = ["plan"]'), "vault.toml"), Given()).roles[0]
    assert role.bound_claims["phase"] == ("plan",)


def test_the_example_is_a_declaration_of_two_roles_for_two_phases():
    text = (ROOT / "examples" / "vault" / "vault.toml").read_text()
    state = state_of(parse(text, "vault.toml"), Given())
    assert [role.bound_claims.get("phase") for role in state.roles] == [("plan",), ("apply", "destroy", "task"), None]
    assert [role.token_policies for role in state.roles][:2] == [("plan-web",), ("read-secrets-for-web",)]


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        ('bound_subject = "canary"', "bound_subject", "is not known"),
        ('token_tll = "canary"', "token_tll", "is not known"),
        ('token_ttl = "3m"', "token_ttl", "longer than allowed"),
        ('token_ttl = "canary"', "token_ttl", "must be a duration"),
        ("token_ttl = 0", "token_ttl", "more than zero"),
        ("token_ttl = true", "token_ttl", "must be a duration"),
        ('token_explicit_max_ttl = "31m"', "token_explicit_max_ttl", "not be longer than run_timeout"),
        ('token_explicit_max_ttl = "1m"', "token_ttl", "longer than the token lives at most"),
        ('audience = "a b"', "audience", "one word"),
        ('audience = ["canary"]', "audience", "must be text"),
        ('phases = ["canary"]', "phases.0", "one of those"),
        ("phases = []", "phases", "must not be empty"),
        ('bound_claims = { projectId = "canary" }', "deploy", "must not have projectId"),
        ("bound_claims = { a = [] }", "bound_claims.a", "must not be empty"),
        ('bound_claims = { a = "b,canary" }', "bound_claims.a", "without a comma"),
        ('token_bound_cidrs = ["canary"]', "token_bound_cidrs.0", "an address or a range"),
        ('token_bound_cidrs = ["::ffff:10.0.0.1"]', "token_bound_cidrs.0", "an address or a range"),
        ("any_project = true", "deploy", "and not both"),
        ("[roles.Deploy]", "Deploy.credential_id", "is required"),
        ('[roles."a/b"]', "a/b", "must be letters"),
        ("[roles.runpass-sweeper]", "runpass-sweeper", "is taken"),
        ('[policies.default]\ntext = "canary"', "default", "is taken"),
        ("[policies.x]", "policies.x", "exactly one of"),
        ('[policies.x]\nread_kv = "canary"', "read_kv", "names no [kv] table"),
        ('[kv."a*"]', "kv.a*", "must not hold"),
        ('[kv."../canary"]', "kv", "must be a path"),
        ("[kv.k]\nversion = 3", "version", "one of those"),
        ('[auth]\nmount = "a//canary"', "mount", "must be a path"),
        ('[auth]\ntoken_type = "batch"', "token_type", "one of those"),
        ('[vault]\naddress = "https://user:canary@x"', "address", "without user"),
        ('[vault]\ntoken = "canary"', "vault.token", "is not known"),
        ('[vault]\nnamespace = "a b"', "namespace", "namespace's path"),
        ('[sweeper]\nenabled = "canary"', "enabled", "true or false"),
        ("[unknown]", "unknown", "is not known"),
        ("kv = 7", "kv", "is not known"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_field(line, field, said):
    error = refused(with_role(line))
    assert said in error.message
    assert re.search(rf"vault\.toml: line (1[2-9]|2\d): \S*{re.escape(field)}\S* ", error.message), error.message
    assert "canary" not in error.message.replace("kv...", "") or "canary" in line.partition("=")[0]


def test_the_line_is_that_of_the_field():
    error = refused(GOOD.replace('read_kv = "secrets"', "read_kv = 7").replace("policies = [", "polices = ["))
    assert [item.field for item in error.errors] == [
        "policies.read.read_kv",
        "roles.deploy.policies",
        "roles.deploy.polices",
    ]
    assert error.message.startswith("vault.toml: line 10: policies.read.read_kv must be text; vault.toml: line 12: ")
    assert "vault.toml: line 17: roles.deploy.polices is not known" in error.message


def test_a_role_without_projects_must_say_so():
    without = re.sub(r"project_ids = \[[^]]*]\n", "", GOOD)
    assert "must have project_ids, or any_project = true" in refused(without).message
    role = state_of(parse(without + "any_project = true\n", "vault.toml"), Given()).roles[0]
    assert "projectId" not in role.bound_claims


@pytest.mark.parametrize(("text", "where"), [
    ("a = \n", "line 1, column 5"), ("[x\n", "line 1"), ('x = "canary', "line 1"), ('a = 1\na = "canary"', "line 2"),
    ('# one\n\na = """canary\nb', "line 3"), ("[a]\nb = 1\n# c\n[a]", "line 4"), ("a = 1\n[a]", "line 2"),
])  # fmt: skip
def test_what_is_no_toml_is_told_by_its_place(text, where):
    message = refused(text).message
    assert "is not TOML" in message
    assert where in message
    assert "canary" not in message


def test_an_empty_file_is_told_what_it_needs():
    assert "organization_id is required" in refused("").message
    assert "issuer is required" in refused("").message


@pytest.mark.parametrize("text", ["x = " + "[" * 5_000, "\n" * 3_000, "a." * 3_000 + "b = 1"])
def test_a_file_that_is_made_to_hurt_is_refused(text):
    assert len(refused(text).message) < 2_000


def test_a_name_that_could_steer_a_terminal_is_shown_escaped():
    assert "\x1b" not in refused(GOOD + '"\\u001b[2Jx" = 1\n').message


def test_secrets_above_the_auth_method_are_out_of_a_policys_reach():
    text = GOOD.replace("[kv.secrets]", '[kv.secrets]\nnamespace = "other"') + '[vault]\nnamespace = "team"\n'
    with pytest.raises(PathInvalid, match="no policy there reaches it"):
        state_of(parse(text, "vault.toml"), Given())


def test_secrets_in_a_namespace_below_are_named_from_the_auth_methods():
    text = GOOD.replace("[kv.secrets]", '[kv.secrets]\nnamespace = "team/apps"') + '[vault]\nnamespace = "team"\n'
    assert 'path "apps/secrets/data/*"' in state_of(parse(text, "vault.toml"), Given()).policies[0].text


NAMES = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=5)
VALUES = st.one_of(st.integers(), st.booleans(), NAMES, st.lists(NAMES, max_size=2))


# `as_toml` writes these three as tables of tables.
PLAIN = NAMES.filter(lambda name: name not in {"kv", "policies", "roles"})


@given(st.dictionaries(PLAIN, VALUES | st.dictionaries(NAMES, VALUES, max_size=3), max_size=5))
def test_every_key_of_a_file_has_the_line_that_it_stands_on(content):
    text = as_toml(content)
    assert tomllib.loads(text) == content
    lines = text.split("\n")
    found = lines_of(text)
    for name, value in content.items():
        inside = [(name, key) for key in value] if isinstance(value, dict) else [(name,)]
        for path in inside:
            line = lines[found[path] - 1]
            assert tomllib.loads(line).keys() == {path[-1]}


@given(st.text(max_size=200))
def test_whatever_stands_in_a_file_is_refused_in_a_sentence(text):
    assert refused(text).message.startswith("vault.toml: ")
