"""Turns for those who are not known yet: wrong credentials, however many at once, do not slow down known callers.

Checking a key is a read of the database, and two hundred of them at the same moment would take every thread there is.
So credentials that were not right lately are checked one after another, while those that were do not queue. Nothing is
trusted for being known: every request is checked against the database. After wrong ones the queue rests a moment, in
which known callers have the process for themselves.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from runpass.server.access.waiting import WaitingRoom
from runpass.server.http.limiting import KnownCallers

REST_SECONDS: Final = 0.005
"""After wrong credentials: a few times what their check takes, and still 100 of them a second."""


class Logins:
    """The queue of one server process."""

    def __init__(self, waiting: WaitingRoom | None = None) -> None:
        """Take how many may wait; nothing where the limits on requests are enough, because a check is quick."""
        self._known = KnownCallers()
        self._turn = asyncio.Semaphore(1)
        self._waiting = waiting

    @asynccontextmanager
    async def turn(self, address: str, header: str) -> AsyncIterator[None]:
        """Wait until these credentials may be checked; without an exception inside, they are known afterwards.

        Raises `TooManyRequests` where too many wait already.
        """
        if self._known.knows(address, header):
            yield
            return
        place = nullcontext() if self._waiting is None else self._waiting.place(address)
        with place:
            async with self._turn:
                try:
                    yield
                except BaseException:
                    await asyncio.sleep(REST_SECONDS)
                    raise
        self._known.learn(address, header)
