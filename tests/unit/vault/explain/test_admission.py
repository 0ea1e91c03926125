"""What is said of a role before there is a token. Compared with a real OpenBao in `tests/vault/test_subjects.py`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.vault.explain.admission import MOST_ENTRIES, NotLookedAt, admission

CLAIMS = {
    "iss": "https://id/",
    "sub": "o:projectId:p",
    "aud": "a",
    "projectName": "web",
    "phase": "?",
    "projectId": "p",
}
ROLE = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["a"], "token_policies": ["read"]}
VARYING = {"phase", "a/b"}
NAMES = (
    *("bound_subject", "bound_audiences", "bound_claims", "bound_claims_type", "user_claim", "role_type"),
    *("claim_mappings", "groups_claim", "token_policies", "token_policies_template_claims", "user_claim_json_pointer"),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(list(CLAIMS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*CLAIMS, "/sub", "/a/b"]), inner),
    max_leaves=6,
)


def admits(**changes: Any) -> bool | None:
    return admission("deploy", ROLE | changes, CLAIMS, VARYING).admits


def test_a_role_admits_tokens_that_have_what_it_binds():
    found = admission("deploy", ROLE | {"bound_claims": {"projectId": "p"}}, CLAIMS, VARYING)
    assert found.admits is True
    assert found.granted is not None
    assert (found.granted.alias, found.granted.policies) == ("o:projectId:p", ("default", "read"))


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"bound_subject": "o"}, "subject"),
        ({"bound_audiences": ["b"]}, "audience"),
        ({"bound_claims": {"projectName": "api"}}, 'bound claim "projectName"'),
        ({"bound_claims": {"credentialId": "c"}}, 'bound claim "credentialId"'),
        ({"user_claim": "nothing"}, "user claim"),
        ({"role_type": "oidc"}, "role type"),
    ],
)
def test_a_role_that_refuses_says_which_check_fails(changes: dict[str, Any], check: str):
    found = admission("deploy", ROLE | changes, CLAIMS, VARYING)
    assert found.admits is False
    assert check in [item.name for item in found.refused]
    assert found.granted is None


@pytest.mark.parametrize("key", ["phase", "/phase", "/phase/0", "/a~1b"])
def test_what_differs_from_run_to_run_decides_nothing(key: str):
    found = admission("deploy", ROLE | {"bound_claims": {key: "apply"}}, CLAIMS, VARYING)
    assert (found.admits, found.undecided) == (None, (key,))
    assert admits(bound_claims={key: "apply", "projectId": "q"}) is False


@pytest.mark.parametrize(
    "value",
    [
        {str(number): "x" for number in range(MOST_ENTRIES + 1)},
        {"sub": ["x"] * (MOST_ENTRIES + 1)},
        {"sub": "\ud800"},
        {"\udfff": "x"},
        {"sub": 2**63},
        {"sub": float("nan")},
        {"sub": float("inf")},
    ],
)
def test_what_no_vault_gives_is_not_looked_at(value: dict[str, Any]):
    with pytest.raises(NotLookedAt):
        admits(bound_claims=value)


def test_a_role_that_is_nested_without_end_is_not_looked_at():
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(NotLookedAt):
        admits(bound_claims={"sub": nested})


@given(st.dictionaries(st.sampled_from(NAMES), anything))
def test_whatever_a_role_holds_there_is_an_answer_that_can_be_sent(role: dict[str, Any]):
    try:
        found = admission("deploy", role, CLAIMS, VARYING)
    except NotLookedAt:
        return
    assert found.admits in {True, False, None}
    for check in found.refused:
        f"{check.name}{check.expected}{check.received}".encode()
    if found.granted is not None:
        assert isinstance(found.granted.alias, str)
        "".join(found.granted.policies).encode()
