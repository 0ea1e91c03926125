"""Masking: no secret that the runner knows of leaves it in a log, however the bytes come in."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from runpass.runner.secret_forms import SHORTEST, forms
from runpass.secret import Secret

MASK: Final = b"***"
LARGE: Final = 4 * 1024
"""Characters of new secrets above which their patterns are made in a thread."""


class Mask:
    """The secrets of one run. More may be added at any time, and count for what is written after that."""

    def __init__(self) -> None:
        self._known: set[Secret] = set()
        self._patterns: set[bytes] = set()
        self._compiled: _Patterns | None = None
        self._closed = False

    def add(self, values: Iterable[Secret]) -> None:
        """Mask these values from now on, in all their forms."""
        new = set(values) - self._known
        if new:
            self._take_in(new, _forms_of(new))

    async def learn(self, values: Iterable[Secret]) -> None:
        """Do as `add` does, and let the loop go on meanwhile if the values are large: their forms take seconds."""
        new = set(values) - self._known
        if sum(len(value.reveal()) for value in new) <= LARGE:
            self.add(new)
            return
        self._take_in(new, await asyncio.to_thread(_forms_of, new))
        patterns = self._patterns
        compiled = await asyncio.to_thread(_Patterns, patterns)
        if self._patterns is patterns:  # nothing was added meanwhile
            self._compiled = compiled

    def _take_in(self, values: set[Secret], patterns: set[bytes]) -> None:
        self._known |= values
        self._patterns = self._patterns | patterns  # a new set: another thread may be reading the old one
        self._compiled = None

    def masker(self) -> "Masker":
        """Give a masker for one stream of bytes."""
        return Masker(self._patterns_compiled, self._newest)

    def text(self, text: str) -> str:
        """Give a whole text with its secrets masked."""
        masker = self.masker()
        raw = text.encode(errors="surrogateescape")
        return (masker.feed(raw) + masker.finish()).decode(errors="replace")

    def close(self) -> None:
        """Forget the secrets. A `Masker` keeps those that it knew last."""
        self._closed = True
        self._known, self._patterns = set(), set()
        self._compiled = None

    def _newest(self) -> "_Patterns | None":
        return None if self._closed else self._patterns_compiled

    @property
    def _patterns_compiled(self) -> "_Patterns":
        if self._compiled is None:
            self._compiled = _Patterns(self._patterns)
        return self._compiled


def _forms_of(values: Iterable[Secret]) -> set[bytes]:
    return set().union(*(forms(value.reveal()) for value in values))


class _Patterns:
    """The patterns of a mask, ready to be searched for."""

    def __init__(self, patterns: set[bytes]) -> None:
        self._sorted = sorted(patterns)
        self._longest = max(map(len, patterns), default=0)
        # Built for every run before its first command: this kind is built in a tenth of the default's time.
        kind = Implementation.NoncontiguousNFA
        self._whole = BytesAhoCorasick(self._sorted, MatchKind.LeftmostLongest, kind)
        self._heads = BytesAhoCorasick({pattern[:SHORTEST] for pattern in patterns}, MatchKind.Standard, kind)

    def matches(self, data: bytes) -> list[tuple[int, int]]:
        """Give start and end of the leftmost longest matches that do not overlap."""
        return [(start, end) for _, start, end in self._whole.find_matches_as_indexes(data)]

    def first_open(self, data: bytes) -> Callable[[int], int]:
        """Give what tells, for a position, the first place from there on where the rest of the data begins a pattern.

        Only the places that are asked for are looked at: each one costs a look at the whole rest, and a run of one
        repeated character has as many of them as it has characters.
        """
        tail = max(len(data) - self._longest + 1, 0)
        heads = self._heads.find_matches_as_indexes(memoryview(data)[tail:], overlapping=True)
        last = range(max(len(data) - SHORTEST + 1, 0), len(data))
        starts: list[int] = [*sorted({tail + start for _, start, _ in heads}), *last]

        def first(position: int) -> int:
            for index in range(bisect_left(starts, position), len(starts)):
                if self._begins(data[starts[index] :]):
                    return starts[index]
            return len(data)

        return first

    def _begins(self, rest: bytes) -> bool:
        # The pattern itself, if it is one, sorts first among all that begin with it.
        place = bisect_left(self._sorted, rest + b"\0")
        return place < len(self._sorted) and self._sorted[place].startswith(rest)


class Masker:
    """Masks one stream. What comes out does not depend on how the bytes were cut into pieces on their way in."""

    def __init__(self, patterns: _Patterns, newest: Callable[[], _Patterns | None] = lambda: None) -> None:
        self._patterns = patterns
        self._newest = newest
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and give what is decided: all but an end that may be the beginning of a secret."""
        # SECURITY: a run that goes on for long gets new tokens meanwhile, and may print them.
        self._patterns = self._newest() or self._patterns
        held = self._held + data
        first_open = self._patterns.first_open(held)
        out, position = [], 0
        hold_from = first_open(0)
        for start, end in self._patterns.matches(held):
            if hold_from <= start:
                break  # something that started earlier, or a longer one from the same place, may still come
            out += [held[position:start], MASK]
            position = end
            if hold_from < position:
                hold_from = first_open(position)
        out.append(held[position:hold_from])
        self._held = held[hold_from:]
        return b"".join(out)

    def finish(self) -> bytes:
        """Give the rest: the stream has ended, so nothing can become a secret any more."""
        out, position = [], 0
        for start, end in self._patterns.matches(self._held):
            out += [self._held[position:start], MASK]
            position = end
        out.append(self._held[position:])
        self._held = b""
        return b"".join(out)
