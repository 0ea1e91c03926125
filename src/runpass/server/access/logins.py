"""Turns for those who are not known yet: wrong credentials, however many at once, do not slow down known callers.

Checking a key is a read of the database, and two hundred of them at the same moment would take every thread there is.
So credentials that were not right lately are checked one after another, while those that were do not queue. Nothing is
trusted for being known: every request is checked against the database.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runpass.server.http.limiting import KnownCallers


class Logins:
    """The queue of one server process."""

    def __init__(self) -> None:
        self._known = KnownCallers()
        self._turn = asyncio.Semaphore(1)

    @asynccontextmanager
    async def turn(self, address: str, header: str) -> AsyncIterator[None]:
        """Wait until these credentials may be checked; without an exception inside, they are known afterwards."""
        if self._known.knows(address, header):
            yield
            return
        async with self._turn:
            yield
        self._known.learn(address, header)
