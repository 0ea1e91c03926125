"""Masking: no secret that the runner knows of leaves it in a log, however the bytes come in."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from runpass.runner.secret_forms import SHORTEST, forms
from runpass.secret import Secret

MASK: Final = b"***"


class Mask:
    """The secrets of one run. More may be added at any time; a `Masker` knows those of when it was made."""

    def __init__(self) -> None:
        self._patterns: set[bytes] = set()
        self._compiled: _Patterns | None = None

    def add(self, values: Iterable[Secret]) -> None:
        """Mask these values from now on, in all their forms."""
        for value in values:
            self._patterns |= forms(value.reveal())
        self._compiled = None

    def masker(self) -> "Masker":
        """Give a masker for one stream of bytes."""
        return Masker(self._patterns_compiled)

    def text(self, text: str) -> str:
        """Give a whole text with its secrets masked."""
        masker = self.masker()
        raw = text.encode(errors="surrogateescape")
        return (masker.feed(raw) + masker.finish()).decode(errors="replace")

    def close(self) -> None:
        """Forget the secrets."""
        self._patterns = set()
        self._compiled = None

    @property
    def _patterns_compiled(self) -> "_Patterns":
        if self._compiled is None:
            self._compiled = _Patterns(self._patterns)
        return self._compiled


class _Patterns:
    """The patterns of a mask, ready to be searched for."""

    def __init__(self, patterns: set[bytes]) -> None:
        self._sorted = sorted(patterns)
        self._longest = max(map(len, patterns), default=0)
        self._short_heads = {pattern[:length] for pattern in patterns for length in range(1, SHORTEST)}
        # Built for every run before its first command: this kind is built in a tenth of the default's time.
        kind = Implementation.NoncontiguousNFA
        self._whole = BytesAhoCorasick(self._sorted, MatchKind.LeftmostLongest, kind)
        self._heads = BytesAhoCorasick({pattern[:SHORTEST] for pattern in patterns}, MatchKind.Standard, kind)

    def matches(self, data: bytes) -> list[tuple[int, int]]:
        """Give start and end of the leftmost longest matches that do not overlap."""
        return [(start, end) for _, start, end in self._whole.find_matches_as_indexes(data)]

    def open_starts(self, data: bytes) -> list[int]:
        """Give, in order, where the rest of the data is the beginning of a pattern that is not complete."""
        tail = max(len(data) - self._longest + 1, 0)
        heads = self._heads.find_matches_as_indexes(memoryview(data)[tail:], overlapping=True)
        found = sorted({tail + start for _, start, _ in heads if self._begins(data[tail + start :])})
        last = range(max(len(data) - SHORTEST + 1, 0), len(data))
        return found + [start for start in last if data[start:] in self._short_heads]

    def _begins(self, rest: bytes) -> bool:
        # The pattern itself, if it is one, sorts first among all that begin with it.
        place = bisect_left(self._sorted, rest + b"\0")
        return place < len(self._sorted) and self._sorted[place].startswith(rest)


class Masker:
    """Masks one stream. What comes out does not depend on how the bytes were cut into pieces on their way in."""

    def __init__(self, patterns: _Patterns) -> None:
        self._patterns = patterns
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and give what is decided: all but an end that may be the beginning of a secret."""
        held = self._held + data
        opens = self._patterns.open_starts(held)
        out, position = [], 0
        for start, end in self._patterns.matches(held):
            if any(position <= begin <= start for begin in opens):
                break  # something that started earlier, or a longer one from the same place, may still come
            out += [held[position:start], MASK]
            position = end
        hold_from = next((begin for begin in opens if begin >= position), len(held))
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
