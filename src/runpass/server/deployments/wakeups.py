"""Waking runners that wait for work. Nobody holds a thread or a connection while waiting.

A deployment queued in this process wakes its pool at once. What another process queued is seen by one small task
that looks every 200 ms, and only while somebody waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

import structlog

from runpass.errors import RunpassError
from runpass.ids import PoolId

_log = structlog.get_logger(__name__)
LOOK_EVERY_SECONDS = 0.2


class Wakeups:
    """One event per pool that somebody waits for."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[PoolId, set[asyncio.Event]] = {}
        self._closed = False

    def open(self) -> None:
        """Bind to the running loop; called when the server starts."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End every waiting at once; called when the server stops. Safe from any thread and from a signal handler."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_all)

    @property
    def closed(self) -> bool:
        """Whether the server is stopping."""
        return self._closed

    def work_arrived(self, pool: PoolId) -> None:
        """Wake whoever waits for this pool. Safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, pool)

    def listen(self, pool: PoolId) -> "Listener":
        """Give a listener for one pool; what arrives between its creation and its wait is not missed."""
        return Listener(self._waiting, pool)

    async def look_elsewhere(self, pools_with_work: Callable[[], Awaitable[set[PoolId]]]) -> None:
        """Look for work that other processes queued, for as long as the server runs."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            if not any(self._waiting.values()):
                continue
            try:
                pools = await pools_with_work()
            except RunpassError as error:
                _log.warning("wakeups.failed", code=error.code, message=error.message)
                continue
            except Exception:  # noqa: BLE001 -- it goes on: nobody else looks
                _log.exception("wakeups.crashed")
                continue
            for pool in pools:
                self._wake(pool)

    def _wake_all(self) -> None:
        for pool in list(self._waiting):
            self._wake(pool)

    def _wake(self, pool: PoolId) -> None:
        for event in self._waiting.get(pool, ()):
            event.set()


class Listener:
    """One waiting for one pool."""

    def __init__(self, waiting: dict[PoolId, set[asyncio.Event]], pool: PoolId) -> None:
        self._waiting = waiting
        self._pool = pool
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        self._waiting.setdefault(self._pool, set()).add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        events = self._waiting.get(self._pool, set())
        events.discard(self._event)
        if not events:
            self._waiting.pop(self._pool, None)

    async def wait(self, seconds: float, gone: Callable[[], Awaitable[object]]) -> bool:
        """Wait until work may have arrived, so many seconds have passed, or the caller is `gone`; whether it is."""
        arrived = asyncio.ensure_future(self._event.wait())
        left = asyncio.ensure_future(gone())
        try:
            await asyncio.wait({arrived, left}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return left.done()
        finally:
            self._event.clear()
            for future in (arrived, left):
                future.cancel()
