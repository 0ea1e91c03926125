"""How often something was asked: never counted too low, and in memory of one size."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import MovingClock
from runpass.server.http.counting import CELLS, WindowCounts

KEYS = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=60)


def counts(clock: MovingClock, seconds: float = 60.0) -> WindowCounts:
    return WindowCounts(clock, seconds)


@given(KEYS)
def test_no_count_is_ever_too_low(keys: list[tuple[str, str]]):
    counted = counts(MovingClock())
    for number, key in enumerate(keys, start=1):
        assert counted.add(*key) >= keys[:number].count(key)
        assert counted.count(*key) >= keys[:number].count(key)


@given(st.lists(st.integers(0, 5), max_size=200))
def test_with_few_callers_every_count_is_exact(asked: list[int]):
    """Two of six keys share both of their cells once in 300 million times."""
    counted = counts(MovingClock())
    for number, caller in enumerate(asked, start=1):
        assert counted.add(str(caller)) == asked[:number].count(caller)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=40))
def test_everybody_begins_from_nothing_in_the_next_window(steps: list[tuple[str, int]]):
    clock = MovingClock()
    counted = counts(clock, 60)
    began, seen = clock.monotonic(), {"a": 0, "b": 0}
    for key, seconds in steps:
        clock.advance(timedelta(seconds=seconds))
        if clock.monotonic() - began >= 60:
            began, seen = clock.monotonic(), {"a": 0, "b": 0}
        seen[key] += 1
        assert counted.add(key) == seen[key]
        assert 1 <= counted.seconds_left() <= 60


def test_parts_of_a_key_do_not_run_together():
    counted = counts(MovingClock())
    counted.add("ab", "c")
    assert counted.count("a", "bc") == 0


def test_a_key_that_is_no_valid_unicode_is_counted():
    assert counts(MovingClock()).add("\ud800") == 1


@pytest.mark.parametrize("strangers", [1_000, 20_000])
def test_made_up_keys_neither_grow_it_nor_push_others_out(strangers: int):
    counted = counts(MovingClock())
    for _ in range(10):
        counted.add("caller")
    for number in range(strangers):
        counted.add("attacker", str(number))
    assert 10 <= counted.count("caller") <= 12
    assert sum(len(row) for row in counted.__dict__.values() if hasattr(row, "itemsize")) == 2 * CELLS
