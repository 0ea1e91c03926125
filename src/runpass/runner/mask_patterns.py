"""What a mask looks for, ready to be searched for in bytes."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from runpass.runner.secret_forms import SHORTEST

# Built for every run before its first command, so the kind that is quickest to build counts: a DFA searches three times
# as fast, but takes ten times as long to build, and a hundred times the memory (docs/decisions/0027).
_KIND: Final = Implementation.ContiguousNFA
Match = tuple[int, int, int]
"""Number of a pattern, and start and end of where it stands."""


class Patterns:
    """The patterns of a mask, each with the name of the secret that it is a form of."""

    def __init__(self, names: Mapping[bytes, str]) -> None:
        self._sorted = sorted(names)
        self._names = [names[pattern] for pattern in self._sorted]
        self._longest = max(map(len, names), default=0)
        self._whole = BytesAhoCorasick(self._sorted, MatchKind.LeftmostLongest, _KIND)
        self._heads = BytesAhoCorasick({pattern[:SHORTEST] for pattern in names}, MatchKind.Standard, _KIND)

    def matches(self, data: bytes) -> list[Match]:
        """Give the leftmost longest matches that do not overlap."""
        found: list[Match] = self._whole.find_matches_as_indexes(data)
        return found

    def decided(self, data: bytes) -> tuple[list[Match], int]:
        """Give the matches that no further byte can change, and the first place after them that may begin another."""
        first_open = self.first_open(data)
        hold_from = first_open(0)
        decided, position = [], 0
        for match in self.matches(data):
            _, start, end = match
            if hold_from <= start:
                break  # something that started earlier, or a longer one from the same place, may still come
            decided.append(match)
            position = end
            if hold_from < position:
                hold_from = first_open(position)
        return decided, hold_from

    def names(self, patterns: Iterable[int]) -> set[str]:
        """Give the names of the secrets that these patterns are forms of."""
        return {self._names[pattern] for pattern in patterns}

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
