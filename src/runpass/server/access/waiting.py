"""How many may wait for something slow: beyond that they are told to come back, and hold nothing meanwhile."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from runpass.errors import TooManyRequests

RETRY_AFTER_SECONDS: Final = 5


class WaitingRoom:
    """Places for those who wait or are served. For one event loop: nothing here is awaited."""

    def __init__(self, most: int, most_of_one: int | None = None) -> None:
        self._most = most
        self._most_of_one = most if most_of_one is None else most_of_one
        self._of = Counter[str]()

    @contextmanager
    def place(self, source: str = "") -> Iterator[None]:
        """Keep a place for one more of this source. Raises `TooManyRequests` at once where there is none."""
        if self._of.total() >= self._most or self._of[source] >= self._most_of_one:
            raise TooManyRequests(
                "too many sign in at this moment",
                retry_after_seconds=RETRY_AFTER_SECONDS,
                hint="try again in a few seconds",
            )
        self._of[source] += 1
        try:
            yield
        finally:
            self._of[source] -= 1
            if not self._of[source]:
                del self._of[source]
