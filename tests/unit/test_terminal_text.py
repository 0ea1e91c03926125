"""What somebody else wrote is shown and never obeyed, however it was cut."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.terminal_text import open_end, pieces, shown, without_colours

HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from("\x1b[]0;8m\r\n\t\x07\x9b\u202e")), max_size=200)
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
JOINERS = "\u200c\u200d"


@given(HOSTILE)
def test_nothing_but_colours_tabs_and_newlines_passes(text):
    rest = COLOUR.sub("", shown(text))
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or c in "\n\t" + JOINERS for c in rest)


@given(HOSTILE)
def test_what_is_safe_already_is_left_as_it_is(text):
    assert shown(shown(text)) == shown(text)
    assert without_colours(text) == COLOUR.sub("", shown(text))


def test_every_control_format_and_separator_character_that_python_knows_is_shown():
    passing = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and shown(character) == character
    }
    assert passing == set("\n\t" + JOINERS)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[38:2::255:0:0mred", "\x1b[38:2::255:0:0mred"),
        ("\x1b[8mhidden", "\\x1b[8mhidden"),
        ("\x1b[?25l", "\\x1b[?25l"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]8;;http://evil\x07click\x1b]8;;\x07", "\\x1b]8;;http://evil\\x07click\\x1b]8;;\\x07"),
        ("10%\r20%", "10%\\r20%"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u2066b\u200fc\u061cd", "a\\u2066b\\u200fc\\u061cd"),
        ("\x1b[" + "1;" * 40 + "m", "\\x1b[" + "1;" * 40 + "m"),
    ],
)
def test_what_passes_and_what_is_shown(text, safe):
    assert shown(text) == safe


@given(HOSTILE, st.integers(67, 90))
def test_no_piece_is_too_long_and_none_ends_within_a_colour(text, size):
    safe = shown(text + "\x1b[31m" * 20)
    cut = list(pieces(safe, size))
    assert "".join(cut) == safe
    assert all(len(piece) <= size and shown(piece) == piece for piece in cut)


@pytest.mark.parametrize(
    ("text", "count"),
    [("a\x1b", 1), ("a\x1b[", 2), ("a\x1b[31;", 5), ("a\r", 1), ("a\x1b[31m", 0), ("a\x1b]", 0), ("", 0)],
)
def test_the_end_that_may_still_become_a_colour_is_known(text, count):
    assert open_end(text) == count
