"""The keys of an issuer that nobody wants any more end, each at its moment, and none is made."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runpass.server.issuer.ending import SETTLED, decide_end, next_end
from runpass.server.issuer.keys import KeyRecord, KeyState
from runpass.server.issuer.rotation import NOTHING, Policy, carried_out

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
POLICY = Policy()


def key(state: KeyState, number: int = 0, age: timedelta = timedelta(0)) -> KeyRecord:
    at = NOW - age
    return KeyRecord(
        kid=f"{state.value}-{number}",
        algorithm="RS256",
        state=state,
        created_at=at,
        public_jwk={},
        activated_at=None if state is KeyState.UPCOMING else at,
        retired_at=at if state is KeyState.RETIRING else None,
    )


def lived(keys: list[KeyRecord]) -> list[KeyRecord]:
    """Let keys end, each step at the moment that `next_end` gives; give what is left."""
    now = NOW
    for _ in range(10):
        change = next_end(keys, POLICY)
        if change is None:
            assert decide_end(keys, now + timedelta(days=999), POLICY) == NOTHING
            return keys
        if change > now:
            assert decide_end(keys, change - MICROSECOND, POLICY) == NOTHING
        now = max(now, change)
        actions = decide_end(keys, now, POLICY)
        assert actions != NOTHING
        assert (actions.make, actions.activate, actions.publish) == (None, None, None)
        after = {before.kid: new for before, new in carried_out(keys, actions, now, POLICY)}
        keys = [new for old in keys if (new := after.get(old.kid, old)).state is not KeyState.GONE]
    raise AssertionError("it does not end")


@given(
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
    st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_every_key_ends(active: bool, upcoming: bool, retiring: int, age: timedelta):  # noqa: FBT001 -- drawn
    keys = [key(KeyState.RETIRING, number, age) for number in range(retiring)]
    keys += [key(KeyState.ACTIVE, age=age)] if active else []
    keys += [key(KeyState.UPCOMING)] if upcoming else []
    assert lived(keys) == []


def test_a_key_that_was_made_for_a_choice_that_is_not_stored_yet_is_left_alone():
    keys = [key(KeyState.ACTIVE), key(KeyState.UPCOMING)]
    assert decide_end(keys, NOW + SETTLED - MICROSECOND, POLICY) == NOTHING
    actions = decide_end(keys, NOW + SETTLED, POLICY)
    assert (actions.retire, actions.destroy) == ("active-0", ("upcoming-0",))
