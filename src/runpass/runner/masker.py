r"""One stream of bytes without the secrets in it, also where a secret has colours inside.

There are two stages. The first looks through the bytes as they are. The second looks through what the first gave,
without the sequences that colour it: what a terminal shows of `pass\x1b[31mword` is the password. Nothing is looked for
twice in bytes that have no such sequence.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final

from runpass.runner.mask_patterns import Match, Patterns

MASK: Final = b"***"
SEQUENCE_BYTES: Final = 4 * 1024
"""Bytes of colour sequences within what may become a secret; where there are more, they are left out of the output."""
_LONGEST: Final = 64
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]{0,%d}[@-~]|\([0-9A-Z])" % _LONGEST)
"""What programs put around text to colour it: SGR, `grep`'s and `tput`'s additions to it, and all of its family."""
_OPEN: Final = re.compile(rb"\x1b(?:\[[0-?]{0,%d}|\()?\Z" % _LONGEST)

Newest = Callable[[], Patterns | None]
"""Gives what is to be looked for; nothing: what was looked for last."""


def without_colours(data: bytes) -> bytes:
    """Give the bytes without the sequences that colour them."""
    return _SEQUENCE.sub(b"", data) if b"\x1b" in data else data


class Masker:
    """Masks one stream. What comes out does not depend on how the bytes were cut into pieces on their way in.

    Secrets that stand side by side become one mask, so that it tells nothing of how long a value is. Colours inside of
    a secret come after its mask.
    """

    def __init__(self, newest: Newest) -> None:
        self._as_they_are = _AsTheyAre(newest)
        self._coloured = _Coloured(newest)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and give what is decided: all but an end that may be the beginning of a secret."""
        return self._coloured.feed(self._as_they_are.feed(data))

    def finish(self) -> bytes:
        """Give the rest: the stream has ended, so nothing can become a secret any more."""
        return self._coloured.feed(self._as_they_are.finish()) + self._coloured.finish()

    def take_seen(self) -> set[str]:
        """Give the names of the secrets that turned up since the last call."""
        return self._as_they_are.take_seen() | self._coloured.take_seen()


class _Stage:
    """What both stages remember of their stream."""

    def __init__(self, newest: Newest) -> None:
        self._newest = newest
        self._last = Patterns({})
        self._held = b""
        self._after_mask = False
        self._seen: set[str] = set()

    def _patterns(self) -> Patterns:
        self._last = self._newest() or self._last
        return self._last

    def take_seen(self) -> set[str]:
        seen, self._seen = self._seen, set()
        return seen

    def _masked(
        self,
        patterns: Patterns,
        data: bytes,
        matches: Iterable[Match],
        kept: Callable[[int, int], bytes] | None = None,
    ) -> bytes:
        """Give the data with these places masked; `kept` is what stays of a place beside its mask."""
        out: list[bytes] = []
        position, found = 0, set()
        for pattern, start, end in matches:
            if start > position:
                out += [data[position:start], MASK]
            elif not self._after_mask:
                out.append(MASK)
            if kept is not None:
                out.append(kept(start, end))
            position, self._after_mask = end, True
            found.add(pattern)
        if position < len(data):
            out.append(data[position:])
            self._after_mask = False
        self._seen |= patterns.names(found)
        return b"".join(out)


class _AsTheyAre(_Stage):
    """Looks through the bytes as they are."""

    def feed(self, data: bytes) -> bytes:
        patterns = self._patterns()
        held = self._held + data
        decided, hold_from = patterns.decided(held)
        self._held = held[hold_from:]
        return self._masked(patterns, held[:hold_from], decided)

    def finish(self) -> bytes:
        patterns = self._patterns()
        held, self._held = self._held, b""
        return self._masked(patterns, held, patterns.matches(held))


class _Coloured(_Stage):
    """Looks through what is left without its colours. What it holds back has, or may have, one in it.

    Bytes without any need no look: a secret in them, or a beginning of one at their end, is not let through by the
    first stage.
    """

    def feed(self, data: bytes) -> bytes:
        held = self._held + data
        whole = _unfinished(held)
        if not self._held and whole == len(data) and _SEQUENCE.search(data) is None:
            self._after_mask = self._after_mask and not data
            return data
        patterns = self._patterns()
        view = _View(held[:whole])
        decided, hold_from = patterns.decided(view.text)
        start = view.place(hold_from)
        kept = held[start:whole]
        if len(kept) - (len(view.text) - hold_from) > SEQUENCE_BYTES:
            kept = view.text[hold_from:]
        self._held = kept + held[whole:]
        return self._masked(patterns, held[:start], view.places(decided), view.sequences)

    def finish(self) -> bytes:
        patterns, view = self._patterns(), _View(self._held)
        self._held = b""
        return self._masked(patterns, view.data, view.places(patterns.matches(view.text)), view.sequences)


def _unfinished(data: bytes) -> int:
    """Give where a sequence begins that may go on behind the data; else the data's end."""
    found = _OPEN.search(data, max(len(data) - _LONGEST - 2, 0))
    return len(data) if found is None else found.start()


class _View:
    """Bytes without their sequences, and where each byte of that stands among all of them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.text = without_colours(data)
        self._spans: list[tuple[int, int]] | None = None
        self._before: list[int] = []
        """For each sequence, how many bytes of text stand before it."""

    def _find(self) -> list[tuple[int, int]]:
        if self._spans is None:  # not needed for most
            self._spans = [found.span() for found in _SEQUENCE.finditer(self.data)]
            lengths = accumulate((end - start for start, end in self._spans), initial=0)
            self._before = [start - length for (start, _), length in zip(self._spans, lengths, strict=False)]
        return self._spans

    def place(self, position: int) -> int:
        """Give where the byte of text at this position stands; the end, for the end."""
        if position == len(self.text):
            return len(self.data)
        spans = self._find()
        number = bisect_left(self._before, position + 1)
        return position if number == 0 else spans[number - 1][1] + position - self._before[number - 1]

    def places(self, matches: Iterable[Match]) -> Iterable[Match]:
        """Give where these matches in the text stand."""
        return ((pattern, self.place(start), self.place(end - 1) + 1) for pattern, start, end in matches)

    def sequences(self, start: int, end: int) -> bytes:
        """Give the sequences between these two places."""
        spans = self._find()
        first = bisect_left(spans, (start, 0))
        return b"".join(self.data[s:e] for s, e in spans[first : bisect_left(spans, (end, 0))])
