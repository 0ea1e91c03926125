from hypothesis import given, settings
from hypothesis import strategies as st

from runpass.protocol.reports import MAX_MESSAGE
from runpass.runner.output import Lines
from runpass.terminal_text import shown


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
    assert lines.feed(b"x" * (MAX_MESSAGE + 1)) == ["x" * MAX_MESSAGE]
    assert lines.take_partial() == ["x"]
    assert not lines.has_partial


def test_a_partial_line_can_be_taken_before_its_end():
    lines = Lines()
    assert lines.feed(b"name? ") == []
    assert lines.has_partial
    assert lines.take_partial() == ["name? "]
    assert lines.take_partial() == []


SCREEN = st.text(st.sampled_from("ab\x1b[31;m]\r\n\x9b\u202e\x07é"), max_size=120).map(str.encode)


@given(data=SCREEN, size=st.integers(1, 7), waits=st.sets(st.integers(0, 120)))
def test_no_sequence_slips_through_however_its_bytes_come_and_however_long_it_takes(data, size, waits):
    lines, found = Lines(), []
    for at in range(0, len(data), size):
        found += lines.feed(data[at : at + size])
        if at in waits and lines.has_partial:
            found += lines.take_partial()
    found += lines.feed(b"", final=True)
    assert all(shown(line) == line and "\n" not in line for line in found)
    assert "".join(found) == "".join(lines_of(data))


def test_a_colour_that_is_cut_in_two_by_a_wait_stays_one():
    lines = Lines()
    lines.feed(b"name \x1b[3")
    assert lines.take_partial() == ["name "]
    assert not lines.has_partial
    assert lines.feed(b"1mred\n") == ["\x1b[31mred"]


def test_a_carriage_return_overwrites_nothing():
    assert lines_of(b"10%\r20%\r\n", b"SUCCESS\rFAILURE") == ["10%\\r20%", "SUCCESS\\rFAILURE"]


def test_the_end_of_a_line_that_was_taken_already_is_no_line_of_its_own():
    lines = Lines()
    assert lines.feed(b"name? ") == []
    assert lines.take_partial() == ["name? "]
    assert lines.feed(b"\n\nnext\n") == ["", "next"]


@given(st.sampled_from([b"x", b"\x1b[31m", "\U000e0041".encode(), b"\xff", b"\r"]), st.integers(1, 70_000))
@settings(max_examples=20)
def test_a_long_line_is_cut_the_same_way_however_it_came(unit, size):
    data = unit * (3 * MAX_MESSAGE // len(unit)) + b"\r\nnext"
    found = lines_of(*(data[at : at + size] for at in range(0, len(data), size)))
    assert found == lines_of(data)
    assert all(0 < len(line) <= MAX_MESSAGE and shown(line) == line for line in found)


def test_lines_without_end_are_held_in_bounded_memory():
    lines, given = Lines(), 0
    for _ in range(100):
        given += sum(map(len, lines.feed(b"y" * 65_536)))
        assert len(vars(lines)["_partial"]) <= MAX_MESSAGE
    assert given + len(vars(lines)["_partial"]) == 100 * 65_536
