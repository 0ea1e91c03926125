"""What a run names itself is bounded in number and bytes, and the run alone pays for the time it takes."""

import asyncio
import time
from itertools import pairwise

from runpass.runner.masking import SPELLED_NAMED_BYTES, Mask
from runpass.runner.named_values import MOST_BYTES, MOST_VALUES, REST, NamedValues
from runpass.runner.secret_forms import Room, forms
from runpass.secret import Secret

NASTY = "\\'\"$`<>&/\u00e9\u2028 "


def nasty(size, start):
    """A text whose spellings are a hundred times as long as it is."""
    return "".join(NASTY[(start * number * number + number) % len(NASTY)] for number in range(size))


def test_values_are_counted_over_the_whole_life_of_a_run():
    learnt = []

    async def learn(values):
        learnt.extend(values.values())

    async def named():
        values = NamedValues(learn)
        assert await values.take_in({"a": Secret("x" * MOST_BYTES)})
        assert await values.take_in({"again": Secret("x" * MOST_BYTES)})
        assert not await values.take_in({"one more": Secret("y")})
        others = NamedValues(learn)
        assert await others.take_in({str(number): Secret(str(number)) for number in range(MOST_VALUES)})
        assert not await others.take_in({"one more": Secret("y"), "known": Secret("1")})

    asyncio.run(named())
    assert len(learnt) == 1 + MOST_VALUES


def test_a_run_that_names_again_and_again_waits_for_the_others():
    began = []

    async def learn(_values):
        began.append(time.monotonic())
        time.sleep(0.02)  # nothing else of the process runs meanwhile  # noqa: ASYNC251

    async def named():
        values = NamedValues(learn)
        for number in range(3):
            await values.take_in({"a": Secret(f"value-{number}")})

    asyncio.run(named())
    assert all(later - earlier >= 0.02 * (1 + REST) for earlier, later in pairwise(began))


def test_spellings_of_what_a_run_names_are_bounded_and_the_text_is_masked_all_the_same():
    mask, values = Mask(), [nasty(3_000, start) for start in range(1, 20)]
    asyncio.run(mask.named.take_in({str(number): Secret(value) for number, value in enumerate(values)}))
    assert sum(map(len, mask._patterns)) < SPELLED_NAMED_BYTES + 3 * MOST_BYTES  # noqa: SLF001 -- what it weighs
    assert {mask.text(value) for value in values} == {"***"}
    assert not mask.shortened  # of what the run was given, nothing was left out


def test_small_secrets_are_looked_for_in_every_spelling_whatever_large_ones_take():
    mask, small = Mask(), 'p"ss w0rd'
    asyncio.run(mask.learn({"LARGE": Secret(nasty(200_000, 1)), "SMALL": Secret(small)}))
    assert mask.shortened
    assert mask.text('{"a": "p\\"ss w0rd"}') == '{"a": "***"}'
    assert mask.text("p%22ss%20w0rd") == "***"


def test_a_room_that_is_exhausted_leaves_the_text_its_lines_and_its_leaves():
    value = '{"one": "first-leaf!",\n "two": "second-leaf"}'
    assert forms(value, Room(0)) == {
        value.encode(), b'{"one": "first-leaf!",', b'"two": "second-leaf"}', b"first-leaf!", b"second-leaf"
    }  # fmt: skip
    assert forms(value, Room(1_000_000)) == forms(value)
