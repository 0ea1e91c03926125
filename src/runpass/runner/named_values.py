"""Values that a run names itself to be masked, in a file or in its output: how many count, and how fast they may come.

SECURITY: whenever a value is added, the search for all that is masked is built anew, and while that is done nothing
else of the runner runs. So what a run may name is counted over its whole life, and a run that names again and again
waits for the others: its output stands still meanwhile, and nobody else's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from runpass.secret import Secret

MOST_VALUES: Final = 500
MOST_BYTES: Final = 64 * 1024
REST: Final = 4
"""After values were taken in comes a pause of so many times as long as that took: a fifth of the time at most."""
LONGEST_REST_SECONDS: Final = 20.0


class NamedValues:
    """What one run has named. `learn` masks values, by what people know them as."""

    def __init__(self, learn: Callable[[Mapping[str, Secret]], Awaitable[None]]) -> None:
        self._learn = learn
        self._known: set[Secret] = set()
        self._bytes = 0
        self._lock = asyncio.Lock()
        self._rests_until = 0.0

    async def take_in(self, named: Mapping[str, Secret]) -> bool:
        """Mask these values from now on; whether all of them are. What was named before costs nothing."""
        async with self._lock:
            new = {name: value for name, value in named.items() if value not in self._known}
            kept = {name: value for name, value in new.items() if self._counts(value)}
            if kept:
                await asyncio.sleep(max(self._rests_until - time.monotonic(), 0.0))
                began = time.monotonic()
                await self._learn(kept)
                ended = time.monotonic()
                self._rests_until = ended + min(REST * (ended - began), LONGEST_REST_SECONDS)
            return len(kept) == len(new)

    def _counts(self, value: Secret) -> bool:
        """Whether the value is one of those that count, which it is for good then."""
        if value in self._known:
            return True  # named twice at once
        size = len(value.reveal().encode(errors="surrogatepass"))
        if len(self._known) >= MOST_VALUES or self._bytes + size > MOST_BYTES:
            return False
        self._known.add(value)
        self._bytes += size
        return True
