"""What was read a moment ago: kept for at most a second, and good for saying yes alone."""

import threading
from datetime import timedelta
from typing import Final, Generic, TypeVar

from runpass.clock import Clock

LONGEST: Final = timedelta(seconds=1)
_MOST: Final = 10_000

K = TypeVar("K")
V = TypeVar("V")


class Known(Generic[K, V]):
    """Values by key, each forgotten a second after the reading of it began. Threads may share it.

    SECURITY: a refusal never comes from here: whoever would refuse looks again. What a yes of a second ago must not
    outlive is checked once more in the transaction that makes it count.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[K, tuple[float, V]] = {}
        self._turn = threading.Lock()

    def began(self) -> float:
        """Give the moment to hand to `keep`; to be asked for before the reading begins."""
        return self._clock.monotonic()

    def find(self, key: K) -> V | None:
        """Give what was read in the last second, if anything was."""
        found = self._kept.get(key)
        return None if found is None or self._is_old(found[0]) else found[1]

    def keep(self, key: K, value: V, began: float) -> None:
        """Keep what was read, and forget whatever has grown old; past 10,000 others nothing is kept."""
        with self._turn:
            self._kept.pop(key, None)
            for other in self._old():
                del self._kept[other]
            if len(self._kept) < _MOST:
                self._kept[key] = (began, value)

    def __len__(self) -> int:
        """Give how many are kept, young or old."""
        return len(self._kept)

    def _old(self) -> list[K]:
        """Give the keys that are old. A dictionary keeps the order in which they came: it ends at a young one."""
        old = []
        for key, (began, _) in self._kept.items():
            if not self._is_old(began):
                break
            old.append(key)
        return old

    def _is_old(self, began: float) -> bool:
        return not 0 <= self._clock.monotonic() - began < LONGEST.total_seconds()
