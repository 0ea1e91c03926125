"""Values and mistakes in Go's words: what a server's answers are made of."""

import pytest

from runpass.vault.explain.claims import claim, glob
from runpass.vault.explain.go_json import NotJson, decode, decode_once
from runpass.vault.explain.go_text import number, quoted, shown, truncated


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.5, "1.5"), (100.0, "100"), (0.0001, "0.0001"), (0.00001, "1e-05"),
        (999999.0, "999999"), (1e6, "1e+06"), (1234567.5, "1.2345675e+06"), (-123456789.0, "-1.23456789e+08"),
        (12345678901234567890.0, "1.2345678901234567e+19"), (1.5e21, "1.5e+21"), (-1e300, "-1e+300"),
        (5e-324, "5e-324"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_short_as_they_can_be(value: float, text: str):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.9, "1"), (-1.9, "-1"), (1e20, "-9223372036854775808"), (2.0**53, "9007199254740992")]
)
def test_numbers_are_compared_as_whole_ones_of_64_bits(value: float, text: str):
    assert truncated(value) == text


def test_maps_lists_and_nothing_are_shown_without_quotes():
    assert shown({"b": [1.0, None, True], "a": {"x": "y z"}}) == "map[a:map[x:y z] b:[1 <nil> true]]"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", '"plain"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("\n\x01", '"\\n\\x01"'),
        ("ü🚀", '"ü🚀"'),
        ("\u202e", '"\\u202e"'),
    ],
)
def test_texts_are_quoted(text: str, wanted: str):
    assert quoted(text) == wanted


@pytest.mark.parametrize(
    ("content", "today", "first"),
    [
        (b"", "unexpected end of JSON input", "unexpected end of JSON input"),
        (b'{"a": 1.}', "invalid character '}' in numeric literal",
         "invalid character '}' after decimal point in numeric literal"),
        (b'"\\x"', "invalid escape sequence `\\x` in string", "invalid character 'x' in string escape code"),
        ("ü".encode(), "invalid character 'ü' looking for beginning of value",
         "invalid character 'Ã' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key", "invalid character '1' after object key"),
        (b"tru", "unexpected end of JSON input", "invalid character ' ' in literal true (expecting 'e')"),
        (b'{"a": -', "unexpected end of JSON input", "invalid character ' ' in numeric literal"),
        (b'{"a": "b', "unexpected end of JSON input", "unexpected end of JSON input"),
        (b"1 2", "invalid character '2' after top-level value", "invalid character '2' after top-level value"),
    ],
)  # fmt: skip
def test_mistakes_in_json_are_told_as_either_scanner_does(content: bytes, today: str, first: str):
    with pytest.raises(NotJson) as found:
        decode(content)
    assert str(found.value) == today
    with pytest.raises(NotJson) as found:
        decode_once(content)
    assert str(found.value) == first


def test_bytes_that_are_no_text_and_half_pairs_are_replaced():
    assert decode(b'"\xe2\x82"') == "\ufffd\ufffd"
    assert decode(b'{"\\ud800": "\\udc00x"}') == {"\ufffd": "\ufffdx"}


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True), ("a*", "abc", True), ("*c", "abc", True), ("a*c", "abc", True), ("a*c", "ac", True),
        ("prod*prod", "prod", False), ("a?c", "abc", False), ("**", "x", True), ("", "", True), ("", "x", False),
        ("a*b*c", "a/b:c", True), ("a*b*c", "acb", False),
    ],
)  # fmt: skip
def test_only_a_star_is_a_pattern(pattern: str, text: str, fits: bool):  # noqa: FBT001 -- one column of the table
    assert glob(pattern, text) is fits


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("/a/b", "x"),
        ("/l/1", "two"),
        ("/l/2", None),
        ("/l/-", None),
        ("/a/none", None),
        ("/s~1x", "y"),
        ("a/b", "flat"),
    ],
)
def test_a_name_with_a_slash_in_front_is_a_pointer(name: str, value: str | None):
    assert claim({"a": {"b": "x"}, "l": ["one", "two"], "s/x": "y", "a/b": "flat"}, name) == value
