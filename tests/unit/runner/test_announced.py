import asyncio

import pytest

from runpass.protocol.reports import LogLevel
from runpass.runner.announced import COMMAND, HIDDEN, LONGEST, Announced, may_announce
from runpass.runner.masking import Mask
from runpass.runner.named_values import MOST_VALUES
from runpass.runner.output import PARTIAL_SECONDS, pump
from runpass.secret import Secret

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"


class Lines:
    def __init__(self):
        self.lines = []

    async def log(self, _step, _level, line):
        self.lines.append(line)

    async def leak(self, _step, _name):
        pass


def pumped(*pieces, pause=0.0):
    """Give the lines that come of bytes that are written so."""

    async def run():
        reader, lines = asyncio.StreamReader(), Lines()
        pumping = asyncio.create_task(pump(reader, Mask(), lines, "shell:1", LogLevel.INFO))
        for piece in pieces:
            reader.feed_data(piece.encode())
            await asyncio.sleep(pause)
        reader.feed_eof()
        await pumping
        return lines.lines

    return asyncio.run(run())


def test_an_announced_secret_is_not_shown_then_or_later():
    assert pumped("before\n") == ["before"]
    assert pumped(f"{COMMAND}{TOKEN}\nand then {TOKEN}\n") == [HIDDEN, "and then ***"]
    assert pumped(f"{COMMAND}{TOKEN}\n", f"and then {TOKEN}\n", pause=0.01) == [HIDDEN, "and then ***"]


@pytest.mark.parametrize("cut", [1, 5, len(COMMAND), len(COMMAND) + 9])
def test_it_is_not_shown_when_its_line_comes_in_pieces(cut):
    text = f"{COMMAND}{TOKEN}\n"
    lines = pumped(text[:cut], text[cut:], pause=PARTIAL_SECONDS * 1.5)
    assert lines == [HIDDEN]
    assert pumped(text.rstrip()[: cut + 12], pause=PARTIAL_SECONDS * 1.5)[-1] in {HIDDEN, text[: cut + 12]}


def test_a_line_that_only_looks_a_little_like_it_is_shown_at_once():
    assert not may_announce("name? ")
    assert not may_announce("::group::x")
    assert may_announce("  ::add")


def test_only_so_many_of_a_run_are_masked_later_and_none_is_shown():
    mask = Mask()
    named = {str(number): Secret(f"named-in-the-file-{number}") for number in range(MOST_VALUES - 2)}
    values = ["first-announced", "second-announced", "third-announced"]

    async def hidden():
        await mask.named.take_in(named)
        # One for each stream of each command; what counts is counted over the run.
        return [await Announced(mask).hide(f"  {COMMAND}{text}") for text in [*values, "x" * (LONGEST + 1)]]

    assert asyncio.run(hidden()) == [HIDDEN] * 4
    assert mask.text(" ".join(values)) == "*** *** third-announced"
    assert mask.text("x" * (LONGEST + 1)) == "x" * (LONGEST + 1)


def test_a_line_too_long_to_wait_for_is_hidden_to_its_end():
    secret = "s3cr3t-" * 5_000
    assert pumped(f"{COMMAND}{secret}", f"{secret}\nnext\n", pause=0.01) == [HIDDEN, "next"]


def test_what_github_escapes_is_masked_as_it_was_meant():
    assert pumped(f"{COMMAND}p%25ssw0rd-100%25!\n", "p%ssw0rd-100%!\n", pause=0.01) == [HIDDEN, "***"]
