from hypothesis import given
from hypothesis import strategies as st

from runpass.protocol.reports import MAX_MESSAGE
from runpass.runner.output import Lines


def lines_of(*pieces):
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)]
    return found + lines.feed(b"", final=True)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_lines_do_not_depend_on_how_the_bytes_came(data, size):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert lines_of(*pieces) == lines_of(data)


def test_lines_end_at_newlines_and_keep_no_carriage_return():
    assert lines_of(b"one\r\ntwo\n\nfour") == ["one", "two", "", "four"]


def test_invalid_bytes_and_nul_become_the_replacement_character():
    assert lines_of(b"a\xffb\x00c\n") == ["a\ufffdb\ufffdc"]


def test_a_character_cut_in_two_is_put_together():
    lines = Lines()
    assert lines.feed("grün"[:2].encode() + b"\xc3") == []
    assert lines.feed(b"\xbcn\n") == ["grün"]


def test_a_line_without_end_is_not_kept_for_ever():
    lines = Lines()
    ready = lines.feed(b"x" * (MAX_MESSAGE + 1))
    assert ready == ["x" * (MAX_MESSAGE + 1)]
    assert not lines.has_partial


def test_a_partial_line_can_be_taken_before_its_end():
    lines = Lines()
    assert lines.feed(b"name? ") == []
    assert lines.has_partial
    assert lines.take_partial() == ["name? "]
    assert lines.take_partial() == []
