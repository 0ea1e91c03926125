"""Counting requests by caller in memory of one fixed size, whatever callers send.

A count-min sketch (Cormode and Muthukrishnan, 2005): each key has one cell in each of two rows, and the smaller cell is
its count, which is never too low. SECURITY: nothing is ever evicted and nothing grows, so made-up paths and addresses
cannot push others out. The cells of a key follow from a hash with a random key of this process, so nobody can aim at
another caller's. A caller is refused for what others did only when those have filled most of the cells up to a limit:
65,536 times the limit in one window, which is 65 million requests (or 4 million wrong logins) a minute with the default
settings, from thousands of addresses. That is far beyond what a process serves at all.
"""

import secrets
from array import array
from hashlib import blake2b
from math import ceil
from typing import Final

from runpass.clock import Clock

CELLS: Final = 65_536
_LARGEST: Final = 0xFFFF_FFFF


class WindowCounts:
    """Counts per key within windows of a fixed length that begin for all keys at once."""

    def __init__(self, clock: Clock, window_seconds: float) -> None:
        self._clock = clock
        self._length = window_seconds
        self._key = secrets.token_bytes(16)
        self._began = clock.monotonic()
        self._clear()

    def add(self, *key: str) -> int:
        """Count once more; give how often this key has been counted in this window."""
        first, second = self._cells(key)
        count = min(self._first[first], self._second[second], _LARGEST - 1) + 1
        # Only what is lower is raised: a key that shares one cell with a busier one keeps its own count in the other.
        self._first[first] = max(self._first[first], count)
        self._second[second] = max(self._second[second], count)
        return count

    def count(self, *key: str) -> int:
        """Give how often this key has been counted in this window."""
        first, second = self._cells(key)
        return min(self._first[first], self._second[second])

    def seconds_left(self) -> int:
        """Give the whole seconds, at least one, after which every key counts from nothing again."""
        return max(1, ceil(self._began + self._length - self._clock.monotonic()))

    def _cells(self, key: tuple[str, ...]) -> tuple[int, int]:
        if self._clock.monotonic() - self._began >= self._length:
            self._began = self._clock.monotonic()
            self._clear()
        text = "\x00".join(key).encode("utf-8", "surrogatepass")
        digest = blake2b(text, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest[:4], "big") % CELLS, int.from_bytes(digest[4:], "big") % CELLS

    def _clear(self) -> None:
        self._first = array("I", bytes(CELLS * array("I").itemsize))
        self._second = array("I", bytes(CELLS * array("I").itemsize))
