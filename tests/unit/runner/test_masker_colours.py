r"""Secrets with colours inside: what a terminal shows of `pass\x1b[31mword` is the password."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.runner.masker import MASK, SEQUENCE_BYTES, without_colours
from runpass.runner.masking import Mask
from runpass.runner.secret_forms import SHORTEST, forms, is_maskable
from runpass.secret import Secret

SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]{0,64}[@-~]|\([0-9A-Z])")
RED, PLAIN, GREP, TPUT = "\x1b[31m", "\x1b[0m", "\x1b[m\x1b[K", "\x1b(B\x1b[m"
SECRET = "hunter2-horse-battery"

letters = st.text("abc", min_size=SHORTEST, max_size=12).filter(is_maskable)
several = st.lists(letters, min_size=1, max_size=5)
coloured = st.lists(st.sampled_from([*"abcdm[\x1b(", RED, PLAIN, GREP, TPUT, "ab", "bca"]), max_size=80).map("".join)
places = st.lists(st.integers(0, 300), max_size=12)


def mask_of(*values):
    mask = Mask()
    mask.add(Secret(value) for value in values)
    return mask


def masked(mask, *pieces):
    masker = mask.masker()
    return b"".join([*(masker.feed(piece) for piece in pieces), masker.finish()])


def cut(data, at):
    borders = sorted({min(place, len(data)) for place in at} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(borders)]


@given(values=several, text=coloured, at=places)
def test_however_the_bytes_are_cut_the_result_is_the_same(values, text, at):
    data, mask = text.encode(), mask_of(*values)
    assert masked(mask, *cut(data, at)) == masked(mask, data)


@given(values=several, text=coloured, at=places)
def test_no_secret_is_left_with_its_colours_or_without(values, text, at):
    result = masked(mask_of(*values), *cut(text.encode(), at))
    patterns = set().union(*map(forms, values))
    for shown in (result, without_colours(result)):
        assert not [pattern for pattern in patterns if pattern in shown.replace(MASK, b"*")]


@given(values=several, text=coloured)
def test_colours_stay_in_their_order(values, text):
    """Those that are a part of a secret as it is written (`[a`, say) go with it."""
    data = text.encode()
    if any(pattern in data for pattern in set().union(*map(forms, values))):
        return
    assert SEQUENCE.findall(masked(mask_of(*values), data)) == SEQUENCE.findall(data)


@given(text=coloured, at=places)
def test_text_without_secrets_is_left_as_it_is(text, at):
    data = text.encode()
    assert masked(mask_of("never-printed"), *cut(data, at)) == data


@pytest.mark.parametrize("colour", [RED, PLAIN, GREP, TPUT, "\x1b[1;38;2;255;100;0m"])
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_a_secret_is_masked_wherever_it_is_coloured(colour, size):
    for place in range(1, len(SECRET)):
        shown = f"{RED}one {SECRET[:place]}{colour}{SECRET[place:]} two{PLAIN}\n".encode()
        pieces = [shown[at : at + size] for at in range(0, len(shown), size)]
        assert masked(mask_of(SECRET), *pieces) == f"{RED}one ***{colour} two{PLAIN}\n".encode()


def test_every_character_may_have_a_colour_of_its_own():
    shown = "".join(f"\x1b[3{number % 8}m{letter}" for number, letter in enumerate(SECRET))
    assert without_colours(masked(mask_of(SECRET), shown.encode())) == MASK
    assert mask_of(SECRET).text(f"a sentence of {shown}").startswith("a sentence of \x1b[30m***")


def test_the_name_of_a_coloured_secret_is_told():
    mask = Mask()
    mask.add({"DB_PASSWORD": Secret(SECRET)})
    masker = mask.masker()
    masker.feed(f"{SECRET[:4]}{RED}{SECRET[4:]}\n".encode())
    assert masker.take_seen() == {"DB_PASSWORD"}


def test_what_may_become_a_secret_holds_a_bounded_number_of_colours():
    mask, masker = mask_of(SECRET), None
    masker = mask.masker()
    masker.feed(SECRET[:5].encode())
    for _ in range(200):
        assert masker.feed(RED.encode() * 1_000) == b""
    assert len(masker._coloured._held) <= SEQUENCE_BYTES + 100  # noqa: SLF001 -- its memory
    assert masker.feed(SECRET[5:].encode() + b"\n").startswith(MASK)
