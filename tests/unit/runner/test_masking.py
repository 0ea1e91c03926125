import asyncio
import base64
import json
import time
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.runner.masker import MASK
from runpass.runner.masking import UNNAMED, Mask
from runpass.runner.secret_forms import SHORTEST, forms, is_maskable
from runpass.secret import Secret

# A small alphabet, so that secrets overlap, contain and begin each other, and turn up by accident.
letters = st.text("abc", min_size=SHORTEST, max_size=12).filter(is_maskable)
several = st.lists(letters, min_size=1, max_size=5)


def mask_of(*values):
    mask = Mask()
    mask.add(Secret(value) for value in values)
    return mask


def masked(mask, *pieces):
    masker = mask.masker()
    return b"".join([*(masker.feed(piece) for piece in pieces), masker.finish()])


def cut(data, places):
    borders = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(borders)]


def by_hand(data, patterns):
    """The definition: from the left, the longest secret that starts here is replaced; those side by side together."""
    out, position, after_mask = b"", 0, False
    while position < len(data):
        found = max((p for p in patterns if data.startswith(p, position)), key=len, default=b"")
        if not (found and after_mask):
            out += MASK if found else data[position : position + 1]
        position += len(found) or 1
        after_mask = bool(found)
    return out


@given(values=several, text=st.text("abcd", max_size=200), places=st.lists(st.integers(0, 200), max_size=12))
def test_however_the_bytes_are_cut_the_result_is_that_of_the_definition(values, text, places):
    data = text.encode()
    patterns = set().union(*map(forms, values))
    assert masked(mask_of(*values), *cut(data, places)) == by_hand(data, patterns)


@given(value=letters, before=st.binary(max_size=40), after=st.binary(max_size=40), size=st.integers(1, 9))
def test_no_secret_survives_whatever_stands_around_it(value, before, after, size):
    data = before + value.encode() + after
    result = masked(mask_of(value), *(data[at : at + size] for at in range(0, len(data), size)))
    assert value.encode() not in result.replace(MASK, b"*")


@given(values=several, text=st.text("abcd", max_size=100))
def test_nothing_is_held_back_but_what_may_become_a_secret(values, text):
    patterns = set().union(*map(forms, values))
    masker = mask_of(*values).masker()
    out = masker.feed(text.encode())
    held = by_hand(text.encode(), patterns).removeprefix(out)
    assert held == masker.finish()
    if out == text.encode():  # no secret inside: then what is held must begin one
        assert not held or any(pattern.startswith(held) for pattern in patterns)


@given(st.text(min_size=SHORTEST, max_size=60).filter(is_maskable))
def test_a_secret_is_masked_in_the_encodings_that_programs_print(value):
    mask = mask_of(value)
    raw = value.encode()
    for shown in (
        raw,
        base64.b64encode(raw),
        base64.urlsafe_b64encode(raw),
        raw.hex().encode(),
        quote(value).encode(),
        quote(value, safe="").encode(),
        json.dumps(value).encode(),
        json.dumps(value, ensure_ascii=False).encode(),
    ):
        assert MASK in masked(mask, shown)
        assert value.strip() not in masked(mask, shown).decode()


@pytest.mark.parametrize("offset", range(7))
def test_a_secret_inside_a_longer_base64_text_is_masked_at_every_offset(offset):
    value = "correct-horse-battery"
    shown = base64.b64encode(b"x" * offset + value.encode() + b"more text")
    result = masked(mask_of(value), shown)
    assert MASK in result
    assert len(result) < len(shown) - len(value)


def test_every_line_of_a_long_secret_is_masked_alone():
    key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIH\n  qqqqqqqqwwwwwwww\n-----END KEY-----\n"
    result = masked(mask_of(key), b"one: MC4CAQAwBQYDK2VwBCIEIH two: qqqqqqqqwwwwwwww\n")
    assert result == b"one: *** two: ***\n"
    assert masked(mask_of(key), key.encode()) == MASK


def test_short_values_are_left_alone():
    assert not is_maskable("12345")
    assert masked(mask_of("12345", ""), b"12345 true") == b"12345 true"


def test_what_is_learnt_while_a_stream_goes_on_counts_for_what_comes_then():
    mask = mask_of("hunter2-horse")
    masker = mask.masker()
    assert masker.feed(b"correct-battery hunter2-ho") == b"correct-battery "
    mask.add([Secret("correct-battery")])
    assert masker.feed(b"rse correct-battery\n") == b"*** ***\n"


def test_a_stream_tells_which_secrets_turned_up_in_it_by_name():
    mask = Mask()
    mask.add(
        {"DB_PASSWORD": Secret("hunter2-horse"), "ALSO": Secret("hunter2-horse"), "OTHER": Secret("never-printed")}
    )
    mask.add([Secret("nameless-horse")])
    masker = mask.masker()
    masker.feed(base64.b64encode(b"hunter2-horse") + b" hunter2-ho")
    assert masker.take_seen() == {"DB_PASSWORD"}
    masker.feed(b"p\n nameless-hors")
    assert masker.take_seen() == set()
    masker.feed(b"e")
    masker.finish()
    assert masker.take_seen() == {UNNAMED}


@given(values=several, text=st.text("abcd", max_size=100), size=st.integers(1, 9))
def test_the_names_that_turned_up_do_not_depend_on_how_the_bytes_were_cut(values, text, size):
    def seen(*pieces):
        mask = Mask()
        mask.add({f"S{number}": Secret(value) for number, value in enumerate(values)})
        masker = mask.masker()
        for piece in pieces:
            masker.feed(piece)
        masker.finish()
        return masker.take_seen()

    data = text.encode()
    assert seen(*(data[at : at + size] for at in range(0, len(data), size))) == seen(data)


def test_a_text_without_secrets_passes_at_once():
    masker = Mask().masker()
    assert masker.feed(b"password: hunt") == b"password: hunt"


def test_the_beginning_of_a_secret_waits_for_its_end():
    masker = mask_of("hunter2-horse").masker()
    assert masker.feed(b"password: hunter") == b"password: "
    assert masker.feed(b"2-horse\n") == b"***\n"
    assert masker.feed(b"hunter2-h") == b""
    assert masker.feed(b"at\n") == b"hunter2-hat\n"


def test_a_closed_mask_knows_nothing_any_more():
    mask = mask_of("hunter2-horse")
    assert mask.text("hunter2-horse") == "***"
    mask.close()
    assert mask.text("hunter2-horse") == "hunter2-horse"


def test_large_secrets_are_learnt_and_known_ones_are_not_worked_on_again():
    async def scenario():
        mask = Mask()
        large = Secret("".join(f"{number:x}-" for number in range(8_000)))
        await mask.learn([large, Secret("hunter2-horse")])
        compiled = mask.compiled
        mask.add([large])
        assert masked(mask, b"a " + large.reveal().encode() + b" hunter2-horse b") == b"a *** *** b"
        assert mask.compiled is compiled

    asyncio.run(scenario())


def test_what_is_added_while_a_large_secret_is_learnt_is_masked():
    async def scenario():
        mask = Mask()
        learning = asyncio.create_task(mask.learn([Secret("x" * 9_000)]))
        await asyncio.sleep(0)
        mask.add([Secret("hunter2-horse")])
        await learning
        assert mask.text("hunter2-horse " + "x" * 9_000) == "*** ***"

    asyncio.run(scenario())


def test_a_secret_of_one_repeated_character_is_masked_in_time_that_grows_with_the_text_alone():
    masker = mask_of("a" * 100_000).masker()
    started = time.monotonic()
    out = b"".join([masker.feed(b"a" * 65_536), masker.feed(b"a" * 65_536), masker.finish()])
    assert out == MASK + b"a" * 31_072
    assert time.monotonic() - started < 2


def test_what_becomes_secret_while_a_stream_goes_on_is_masked_in_it():
    mask = Mask()
    mask.add([Secret("first-secret")])
    masker = mask.masker()
    assert masker.feed(b"first-secret second-secret\n") == b"*** second-secret\n"
    mask.add([Secret("second-secret")])
    assert masker.feed(b"second-") + masker.feed(b"secret\n") == b"***\n"
    mask.close()
    assert masker.feed(b"first-secret second-secret\n") == b"*** ***\n"


def test_what_is_forgotten_is_shown_and_the_rest_is_not():
    mask = Mask()
    mask.add({"old": Secret("first-token-of-many"), "new": Secret("second-token-of-many")})
    masker = mask.masker()
    mask.forget([Secret("first-token-of-many"), Secret("never-known")])
    assert masker.feed(b"first-token-of-many second-token-of-many\n") == b"first-token-of-many ***\n"
