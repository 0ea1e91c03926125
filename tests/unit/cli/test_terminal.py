"""What somebody else wrote never reaches the terminal as a command."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.cli.terminal import RESET, one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ümlaut, 漢字, 🙂", "plain text, ümlaut, 漢字, 🙂"),
        ("tab\tand\nnewline", "tab\tand\nnewline"),
        ("\x1b]0;a title\x07", "\\x1b]0;a title\\x07"),
        ("\x1b]52;c;aGk=\x1b\\", "\\x1b]52;c;aGk=\\x1b\\"),
        ("\x1b[2J\x1b[1;1H", "\\x1b[2J\\x1b[1;1H"),
        ("\x1b[1A\x1b[2Kerased", "\\x1b[1A\\x1b[2Kerased"),
        ("SUCCESS\rFAILURE", "SUCCESS\\rFAILURE"),
        ("back\b\b\b\bspace", "back\\x08\\x08\\x08\\x08space"),
        ("\x9b31m and \x85", "\\x9b31m and \\x85"),
        ("user\u202e gnp.exe", "user\\u202e gnp.exe"),
        ("\u2066isolated\u2069", "\\u2066isolated\\u2069"),
        ("line\u2028separator", "line\\u2028separator"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("a\ud800b", "a\\ud800b"),
        ("family \U0001f469\u200d\U0001f467", "family \U0001f469\u200d\U0001f467"),
    ],
)
def test_control_characters_are_shown_and_text_is_left_alone(text, shown):
    assert visible(text) == shown


def test_colours_pass_on_a_terminal_and_every_line_ends_without_one():
    assert visible("\x1b[31mred\nstill red", colours=True) == f"\x1b[31mred{RESET}\nstill red{RESET}"


def test_colours_are_left_out_where_nobody_sees_them():
    assert visible("\x1b[1;31mred\x1b[0m") == "red"


def test_text_cannot_be_hidden():
    assert visible("\x1b[8mhidden", colours=True) == "\\x1b[8mhidden"
    assert visible("\x1b[0;8mhidden", colours=True) == "\\x1b[0;8mhidden"


def test_a_sequence_put_together_from_pieces_is_not_one():
    assert "\x1b" not in visible("\x1b\x1b[31m[2J")
    assert visible("\x1b\x1b[31m[2J") == "\\x1b[2J"


def test_a_name_stays_in_one_line():
    assert one_line("web\n== SUCCESS\t!") == "web\\n== SUCCESS\\t!"


@given(st.text(st.one_of(st.characters(), st.sampled_from("\x1b[]0;m\r\n\x07\x9b"))), st.booleans())
def test_no_control_character_survives_but_newline_tab_and_colours(text, colours):
    shown = visible(text, colours=colours)
    rest = shown if not colours else _without_sgr(shown)
    assert {c for c in rest if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}} <= {"\n", "\t"}


def _without_sgr(text):
    parts = text.split("\x1b[")
    return parts[0] + "".join(part.partition("m")[2] for part in parts[1:])
