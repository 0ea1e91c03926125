"""Lines of a log as pieces: colours become classes of ours, no text is lost, and nothing in it is ever obeyed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.server.deployments.log_lines import Piece, pieces_of
from runpass.terminal_text import without_colours

CLASSES = re.compile(r"(fg-(\d|1[0-5]))?( ?(bold|dim|italic|underlined))*")
SGR = st.lists(st.integers(0, 300).map(str) | st.just(""), max_size=6).flatmap(
    lambda parts: st.sampled_from(";:").map(lambda by: f"\x1b[{by.join(parts)}m")
)
TEXTS = st.lists(st.text(max_size=20) | SGR | st.sampled_from(["\x1b", "\x1b]0;", "\r", "\u202e", "<b>"]), max_size=12)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", []),
        ("plain", [Piece("plain")]),
        ("\x1b[31mred\x1b[0m not", [Piece("red", "fg-1"), Piece(" not")]),
        ("\x1b[1;92mok", [Piece("ok", "fg-10 bold")]),
        ("\x1b[1mb\x1b[22mn", [Piece("b", "bold"), Piece("n")]),
        (
            "\x1b[4mu\x1b[4:0mn\x1b[3mi\x1b[23mn",
            [Piece("u", "underlined"), Piece("n"), Piece("i", "italic"), Piece("n")],
        ),
        ("\x1b[31ma\x1b[39mb", [Piece("a", "fg-1"), Piece("b")]),
        ("\x1b[38;5;9ma\x1b[38;5;196mb\x1b[38;5;244mc", [Piece("a", "fg-9"), Piece("b", "fg-1"), Piece("c", "fg-8")]),
        ("\x1b[38;2;20;110;200mx", [Piece("x", "fg-4")]),
        ("\x1b[38:2::20:110:200mx", [Piece("x", "fg-4")]),
        ("\x1b[48;5;196;1mx", [Piece("x", "bold")]),
        ("\x1b[38;5;999mx\x1b[38mx", [Piece("x"), Piece("x")]),
        ("\x1b[mx", [Piece("x")]),
        ("a\x1b[2Kb\r\u202e", [Piece("a\\x1b[2Kb\\r\\u202e")]),
        ("\x1b[8mhidden", [Piece("\\x1b[8mhidden")]),
    ],
)
def test_colours_become_classes(message: str, expected: list[Piece]):
    assert pieces_of(message) == expected


@given(TEXTS.map("".join))
def test_no_text_is_lost_and_nothing_is_left_to_obey(message: str):
    pieces = pieces_of(message)
    text = "".join(piece.text for piece in pieces)
    assert text == without_colours(message)
    assert "\x1b" not in text
    assert text == without_colours(text), "what is shown once needs no second look"
    assert all(piece.text for piece in pieces)
    assert all(CLASSES.fullmatch(piece.classes) for piece in pieces)
