"""What many ask for at the same moment, read once for all of them and remembered for a second."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from runpass.clock import Clock
from runpass.server.deployments.known import Known

K = TypeVar("K")
V = TypeVar("V")


class OneReading(Generic[K, V]):
    """Values by key, for the coroutines of one event loop.

    Whoever comes while a value is read waits for it. Without that, each second when a value is forgotten, everybody
    who is there would read it in a thread of his own: with a database connection, a page cache and memory of its own.

    SECURITY: a refusal is never shared. Whoever waited for a reading that failed, or took too long, reads by himself.
    """

    def __init__(self, clock: Clock) -> None:
        self._known: Known[K, V] = Known(clock)
        self._under_way: dict[K, asyncio.Event] = {}

    async def get(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """Give what is known of the key, or read it. Raises whatever `read` does."""
        found = self._known.find(key)
        if found is not None:
            return found
        under_way = self._under_way.get(key)
        if under_way is None:
            return await self._read(key, read)
        await under_way.wait()
        found = self._known.find(key)
        return await read() if found is None else found

    async def _read(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        done = self._under_way[key] = asyncio.Event()
        try:
            began = self._known.began()
            value = await read()
            self._known.keep(key, value, began)
            return value
        finally:
            del self._under_way[key]
            done.set()
