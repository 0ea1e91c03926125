"""Whatever a Vault or a file holds: lint answers, and what it says can be printed."""

from hypothesis import given
from hypothesis import strategies as st

from runpass.vault.errors import visible
from runpass.vault.lint.model import MountFacts
from runpass.vault.lint.policy_text import path_rules, reaches
from runpass.vault.lint.rules import lint

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from([
    "bound_claims", "bound_audiences", "bound_subject", "bound_claims_type", "user_claim", "token_ttl", "token_type",
    "token_policies", "policies", "claim_mappings", "cel_program", "clock_skew_leeway", "token_period", "role_type",
    "bound_issuer", "jwks_url", "jwks_pairs", "default_role", "audit_non_hmac_request_keys",
    "user_claim_json_pointer",
])  # fmt: skip
READ = st.dictionaries(NAMES, VALUES, max_size=8)


@given(role=READ, config=READ, tuning=READ, name=st.text(max_size=20))
def test_no_data_stops_lint(role, config, tuning, name):
    facts = MountFacts(roles={name: role}, cel_roles={name: role}, config=config, tuning=tuning)
    for finding in lint(facts):
        assert all(visible(text, 10_000) == text for text in finding.to_json().values())


@given(st.text(alphabet='path "{}[]=,\\\n#/*capabilities.read', max_size=300))
def test_no_policy_stops_its_reading(text):
    rules = path_rules(text)
    assert rules is None or all(isinstance(rule.path, str) for rule in rules)


PATHS = st.lists(st.text(alphabet="ab", min_size=1, max_size=2), min_size=1, max_size=4).map("/".join)


@given(PATHS, st.data())
def test_a_path_is_reached_by_every_pattern_that_is_made_of_it(path, data):
    parts = path.split("/")
    plus = data.draw(st.sets(st.integers(0, len(parts) - 1)))
    pattern = "/".join("+" if at in plus else part for at, part in enumerate(parts))
    assert reaches(pattern, path)
    cut = data.draw(st.integers(0, len(path)))
    assert reaches(f"{path[:cut]}*", path)


def test_a_policy_that_never_closes_anything_is_read_in_one_go():
    for text in ("/*" * 200_000, '\\"' * 200_000, '"' + "\\" * 400_001, 'path "a" {' * 20_000):
        assert path_rules(text) in (None, ())
