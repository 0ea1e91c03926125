"""The life of signing keys as a pure function: rules one by one, and ten years of three servers that crash and lag."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from key_history import History
from runpass.server.issuer.keys import KeyRecord, KeyState
from runpass.server.issuer.rotation import (
    ALWAYS,
    NOTHING,
    Actions,
    Policy,
    carried_out,
    decide,
    next_change,
    next_rotation,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = Policy()
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
_numbers = count()


def key(state: KeyState, **facts: Any) -> KeyRecord:
    kid = f"key-{next(_numbers)}"
    times = {"activated_at": NOW} if state in {KeyState.ACTIVE, KeyState.RETIRING} else {}
    common = {"created_at": NOW, "published_at": NOW, "longest_token": POLICY.longest_token, **times}
    return KeyRecord(kid=kid, algorithm="RS256", state=state, public_jwk={"kid": kid}, **(common | facts))


def after(keys: list[KeyRecord], actions: Actions, now: datetime) -> dict[str, KeyRecord]:
    return {new.kid: new for _, new in carried_out(keys, actions, now, POLICY)}


def test_the_very_first_key_signs_at_once():
    assert decide([], NOW, POLICY) == Actions(make=KeyState.ACTIVE)


def test_without_an_active_key_the_upcoming_one_takes_over_however_new_it_is():
    upcoming = key(KeyState.UPCOMING, published_at=None)
    assert decide([upcoming], NOW, POLICY) == Actions(activate=upcoming.kid)


def test_a_successor_is_made_before_the_period_ends_and_not_earlier():
    active = key(KeyState.ACTIVE)
    made = NOW + POLICY.rotate_every - POLICY.publish_ahead - POLICY.stale_after
    assert decide([active], made - SECOND, POLICY) == NOTHING
    assert decide([active], made, POLICY) == Actions(make=KeyState.UPCOMING)


def test_the_time_of_publication_is_noted_once_the_key_is_committed():
    active, upcoming = key(KeyState.ACTIVE), key(KeyState.UPCOMING, published_at=None)
    keys, later = [active, upcoming], NOW + 40 * DAY
    actions = decide(keys, later, POLICY)
    assert actions == Actions(publish=upcoming.kid)
    assert after(keys, actions, later)[upcoming.kid].published_at == later


def test_a_late_successor_is_published_for_the_whole_time_all_the_same():
    published = NOW + 60 * DAY  # every server was down for a month
    active, upcoming = key(KeyState.ACTIVE), key(KeyState.UPCOMING, published_at=published)
    keys = [active, upcoming]
    assert decide(keys, published + POLICY.publish_ahead - SECOND, POLICY) == NOTHING
    then = published + POLICY.publish_ahead
    assert next_rotation(keys, POLICY) == then
    actions = decide(keys, then, POLICY)
    assert actions == Actions(retire=active.kid, activate=upcoming.kid)
    written = after(keys, actions, then)
    assert list(written) == [active.kid, upcoming.kid]  # there is never a second active one, not even in between
    assert written[upcoming.kid].state is KeyState.ACTIVE
    assert written[active.kid].last_token_expires_at == then + POLICY.stale_after + POLICY.longest_token


def test_a_successor_that_was_published_early_waits_for_the_schedule():
    active, upcoming = key(KeyState.ACTIVE), key(KeyState.UPCOMING)
    assert decide([active, upcoming], NOW + 30 * DAY - SECOND, POLICY) == NOTHING
    assert decide([active, upcoming], NOW + 30 * DAY, POLICY).activate == upcoming.kid


def test_a_rotation_that_was_asked_for_does_not_wait_for_the_schedule_and_still_publishes_first():
    active = key(KeyState.ACTIVE, rotation_wanted_at=NOW + SECOND)
    assert decide([active], NOW + SECOND, POLICY).make is KeyState.UPCOMING
    upcoming = key(KeyState.UPCOMING, published_at=NOW + 2 * SECOND)
    then = NOW + 2 * SECOND + POLICY.publish_ahead
    assert decide([active, upcoming], then - SECOND, POLICY) == NOTHING
    assert decide([active, upcoming], then, POLICY).activate == upcoming.kid


def test_without_a_schedule_only_a_command_rotates():
    by_hand = replace(POLICY, rotate_every=None)
    active, upcoming = key(KeyState.ACTIVE), key(KeyState.UPCOMING)
    assert decide([active], NOW + 9999 * DAY, by_hand) == NOTHING
    assert decide([active, upcoming], NOW + 9999 * DAY, by_hand) == NOTHING
    assert next_rotation([active], by_hand) is None
    asked = replace(active, rotation_wanted_at=NOW)
    assert decide([asked], NOW, by_hand).make is KeyState.UPCOMING


def test_a_retiring_key_is_kept_until_its_last_token_has_expired_and_no_cache_is_older():
    active, last = key(KeyState.ACTIVE), NOW + 2 * DAY
    retiring = key(KeyState.RETIRING, retired_at=NOW, last_token_expires_at=last)
    keys = [active, retiring]
    assert decide(keys, last + POLICY.cache_time - SECOND, POLICY) == NOTHING
    actions = decide(keys, last + POLICY.cache_time, POLICY)
    assert actions == Actions(destroy=(retiring.kid,))
    gone = after(keys, actions, last + DAY)[retiring.kid]
    assert (gone.state, gone.gone_at) == (KeyState.GONE, last + DAY)


def test_a_longer_lifetime_is_noted_with_the_key_before_anything_is_signed_with_it():
    longer = replace(POLICY, longest_token=timedelta(hours=24))
    active = key(KeyState.ACTIVE)
    assert decide([active], NOW, longer) == Actions(lengthen=(active.kid,))
    ((_, changed),) = carried_out([active], Actions(lengthen=(active.kid,)), NOW, longer)
    assert changed.longest_token == timedelta(hours=24)
    assert decide([changed], NOW, POLICY) == NOTHING  # a shorter one does not unmake tokens that are still alive


@given(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7), st.sampled_from([None, NOW]))
def test_a_clock_that_was_put_back_makes_nothing_happen_earlier(active: float, published: float, wanted: Any):
    """Whatever the times say, no key takes over before it was published for long enough."""
    one = key(KeyState.ACTIVE, activated_at=NOW + timedelta(seconds=active), rotation_wanted_at=wanted)
    other = key(KeyState.UPCOMING, published_at=NOW + timedelta(seconds=published))
    actions = decide([one, other], NOW, POLICY)
    assert actions.make is None
    if actions.activate:
        assert other.published_at + POLICY.publish_ahead <= NOW
        assert actions.retire == one.kid


MOMENTS = st.none() | st.floats(-1e7, 1e7).map(lambda seconds: NOW + timedelta(seconds=seconds))
SOME_KEYS = st.builds(
    lambda active, upcoming, retiring, longest: [
        *([key(KeyState.ACTIVE, **active, longest_token=longest)] if active else []),
        *([key(KeyState.UPCOMING, **upcoming)] if upcoming else []),
        *(key(KeyState.RETIRING, retired_at=NOW, **each) for each in retiring),
    ],
    st.none() | st.fixed_dictionaries({"activated_at": MOMENTS, "rotation_wanted_at": MOMENTS}),
    st.none() | st.fixed_dictionaries({"published_at": MOMENTS}),
    st.lists(st.fixed_dictionaries({"last_token_expires_at": MOMENTS}), max_size=3),
    st.sampled_from([POLICY.longest_token, timedelta(seconds=1), timedelta(days=1)]),
)


@given(SOME_KEYS, st.sampled_from([POLICY, replace(POLICY, rotate_every=None)]), st.floats(0, 1e7))
def test_before_the_next_change_there_is_nothing_to_do_and_then_there_is(keys: Any, policy: Policy, earlier: float):
    change = next_change(keys, policy)
    if change is None:
        assert decide(keys, NOW + 99_999 * DAY, policy) == NOTHING
    else:
        assert decide(keys, change, policy) != NOTHING
        if change > ALWAYS:
            assert decide(keys, change - timedelta(microseconds=1) - timedelta(seconds=earlier), policy) == NOTHING


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_years_with_crashes_one_key_signs_and_no_live_token_has_an_unpublished_key(seed: int):
    history = History(POLICY, NOW, seed=seed)
    history.run(timedelta(days=3653))
    assert history.rotations >= 90
    assert history.crashes >= 100
    assert history.refused_to_sign >= 100
    assert history.refused_to_publish >= 10
    assert history.lost_races >= 10
    assert history.tokens >= 1_000
    assert history.confirmed >= 10
    assert history.waited_in_vain >= 5


def test_a_rotation_every_three_hours_with_tokens_that_live_for_a_day():
    policy = replace(POLICY, rotate_every=timedelta(hours=3), longest_token=timedelta(days=1))
    history = History(policy, NOW, seed=3)
    history.run(timedelta(days=20))
    assert history.rotations >= 40
    assert history.most_published >= 8
