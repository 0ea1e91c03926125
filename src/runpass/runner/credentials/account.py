"""The account of a run's logins: what each one gave and how its token ended, told to the server.

So a token can be found and revoked that a runner leaves behind because it dies.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

import structlog

from runpass.errors import RunpassError
from runpass.protocol.vault_logins import (
    MAX_POLICIES,
    MAX_POLICY_NAME,
    MAX_SECONDS,
    EndedLogin,
    GivenToken,
    LoginEnd,
)
from runpass.vault.login import VaultLogin

log = structlog.get_logger()
Tell = Callable[[UUID, GivenToken | None], Coroutine[Any, Any, None]]
_CUT: Final = "…"


class LoginAccount:
    """The logins of one run. A login without an id is one that the server keeps no account of."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._given: dict[UUID, GivenToken] = {}
        self._ends: dict[UUID, LoginEnd] = {}
        self._telling: list[asyncio.Task[None]] = []
        self._renewing: set[asyncio.Task[None]] = set()
        self._is_told: set[UUID] = set()

    def gave(self, login_id: UUID | None, granted: VaultLogin) -> None:
        """Note the token of a login; the server is being told."""
        if login_id is None:
            return
        ttl = _seconds(granted.ttl)
        given = GivenToken(
            accessor=granted.accessor if granted.accessor and not granted.is_batch else None,
            ttl_seconds=ttl,
            renewable=granted.renewable,
            policies=tuple(_policies(granted.policies)),
            renewals=0,
            left_seconds=ttl or None,
        )
        self._given[login_id] = given
        self._telling.append(asyncio.create_task(self._say(login_id, given)))

    def renewed(self, login_id: UUID | None, left: timedelta) -> None:
        """Note that a login's token was renewed, and how long it lives now; the server is being told.

        Nothing waits for that, unless the token has never lived that long: it counts for as long as it may live.
        """
        before = None if login_id is None else self._given.get(login_id)
        if login_id is None or before is None:
            return
        seconds = _seconds(left)
        given = before.model_copy(
            update={
                "ttl_seconds": max(before.ttl_seconds, seconds),
                "renewals": (before.renewals or 0) + 1,
                "left_seconds": seconds,
            }
        )
        self._given[login_id] = given
        telling = asyncio.create_task(self._say(login_id, given))
        if seconds > before.ttl_seconds:
            self._telling.append(telling)
        else:
            self._renewing.add(telling)
            telling.add_done_callback(self._renewal_told)

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
        telling, self._telling = [*self._telling, *self._renewing], []
        for task in telling:
            task.cancel()
        for failed in await asyncio.gather(*telling, return_exceptions=True):
            if isinstance(failed, RunpassError):
                log.warning("vault_login_not_told", code=failed.code, error=failed.message)
        return tuple(
            EndedLogin(login_id=login_id, end=end, given=self._last_word(login_id))
            for login_id, end in self._ends.items()
        )

    def _last_word(self, login_id: UUID) -> GivenToken | None:
        """Give what the last word repeats of a token. How long it lived when that was first said tells nothing now."""
        given = self._given.get(login_id)
        if given is None:
            return None
        said = {"policies": None} if login_id in self._is_told else {}
        return given.model_copy(update={"left_seconds": None, **said})

    async def _say(self, login_id: UUID, given: GivenToken) -> None:
        await self._tell(login_id, given)
        self._is_told.add(login_id)

    def _renewal_told(self, telling: asyncio.Task[None]) -> None:
        self._renewing.discard(telling)
        error = None if telling.cancelled() else telling.exception()
        if isinstance(error, RunpassError):
            log.warning("vault_renewal_not_told", code=error.code, error=error.message)


def _seconds(ttl: timedelta) -> int:
    return min(round(ttl.total_seconds()), MAX_SECONDS)


def _policies(names: Iterable[str]) -> Iterator[str]:
    """Give policies as they are told: bounded, whatever the Vault said."""
    for name in islice(filter(None, names), MAX_POLICIES):
        yield name if len(name) <= MAX_POLICY_NAME else name[: MAX_POLICY_NAME - len(_CUT)] + _CUT
