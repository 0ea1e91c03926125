"""The account of a run's logins: what each one gave and how its token ended, told to the server.

So a token can be found and revoked that a runner leaves behind because it dies.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import structlog

from runpass.errors import RunpassError
from runpass.protocol.vault_logins import MAX_SECONDS, EndedLogin, GivenToken, LoginEnd
from runpass.vault.login import VaultLogin

log = structlog.get_logger()
Tell = Callable[[UUID, GivenToken | None], Coroutine[Any, Any, None]]


class LoginAccount:
    """The logins of one run. A login without an id is one that the server keeps no account of."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._given: dict[UUID, GivenToken] = {}
        self._ends: dict[UUID, LoginEnd] = {}
        self._telling: list[asyncio.Task[None]] = []

    def gave(self, login_id: UUID | None, granted: VaultLogin, ttl_seconds: float) -> None:
        """Note the token of a login, or that a renewal made it live longer; the server is being told."""
        if login_id is None:
            return
        accessor = granted.accessor if granted.accessor and not granted.is_batch else None
        given = GivenToken(
            accessor=accessor, ttl_seconds=min(round(ttl_seconds), MAX_SECONDS), renewable=granted.renewable
        )
        self._given[login_id] = given
        self._telling.append(asyncio.create_task(self._tell(login_id, given)))

    def knows(self, login_id: UUID | None) -> bool:
        """Whether the token of this login was noted; of one without an id, nothing need be."""
        return login_id is None or login_id in self._given

    def gives_none(self, login_id: UUID | None) -> None:
        """Note that no token comes of a login: it was refused, or is never made; the server is being told."""
        if login_id is None:
            return
        self._ends[login_id] = LoginEnd.NO_TOKEN
        self._telling.append(asyncio.create_task(self._tell(login_id, None)))

    def ended(self, login_id: UUID | None, end: LoginEnd) -> None:
        """Note how the token of a login ended; the run's last word tells the server."""
        if login_id is not None:
            self._ends[login_id] = end

    async def told(self) -> None:
        """Wait until the server knows of every token so far. Raises what kept it from that.

        SECURITY: no command may run before: what a run does with a token that nobody knows cannot be stopped.
        """
        telling, self._telling = self._telling, []
        await asyncio.gather(*telling)

    async def close(self) -> tuple[EndedLogin, ...]:
        """Give the whole account, for the run's last word: what the server was not told yet is in it."""
        telling, self._telling = self._telling, []
        for task in telling:
            task.cancel()
        for failed in await asyncio.gather(*telling, return_exceptions=True):
            if isinstance(failed, RunpassError):
                log.warning("vault_login_not_told", code=failed.code, error=failed.message)
        return tuple(
            EndedLogin(login_id=login_id, end=end, given=self._given.get(login_id))
            for login_id, end in self._ends.items()
        )
