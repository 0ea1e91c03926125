"""The claims of a run's tokens, taken apart for its pass: nothing is lost, and nothing is shared that differs."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from runpass.server.deployments.pass_claims import OF_ONE_TOKEN, alike, alone, claims_in, expires_at, shown

NAMES = st.sampled_from(("iss", "sub", "phase", "projectName", *OF_ONE_TOKEN))
VALUES = st.one_of(
    st.sampled_from(("a", "b")), st.integers(0, 1), st.dictionaries(st.sampled_from("xy"), st.booleans())
)
TOKENS = st.lists(st.dictionaries(NAMES, VALUES), max_size=4)


@given(tokens=TOKENS)
def test_what_is_shared_and_what_is_alone_are_together_all_that_a_token_says(tokens: list[dict[str, object]]):
    shared = alike(tokens)
    assert not set(shared) & set(OF_ONE_TOKEN)
    for token in tokens:
        own = alone(token, shared)
        assert not set(own) & set(shared)
        said = {name: value for name, value in token.items() if name not in OF_ONE_TOKEN}
        assert dict(shared) | dict(own) == said


@given(claims=st.dictionaries(st.text(), VALUES))
def test_claims_are_shown_in_their_order_and_each_as_text(claims: dict[str, object]):
    kept = claims_in(json.dumps(claims))
    assert kept == claims
    assert [claim.name for claim in shown(kept)] == list(claims)
    assert all(isinstance(claim.value, str) for claim in shown(kept))


def test_what_was_not_kept_is_not_there_and_a_token_expires_when_it_says():
    assert claims_in(None) is None
    assert expires_at({"exp": 60}) == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert expires_at({}) is None
    assert expires_at({"exp": "never"}) is None
