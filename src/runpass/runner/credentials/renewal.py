"""Keeping a run's way into a Vault open for as long as the run goes on.

Roles give tokens that live for minutes, so that what a crashed runner leaves behind is soon over. A token is renewed at
half of what it has left: a renewable one gets its TTL again, a periodic one its period. One with a cap gets less and
less; when that is no more than half of what it began with, and for a token that cannot be renewed at all, the runner
logs in again with a new identity token. The old token is left alone: a command that goes on may hold it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog

from runpass.errors import Conflict, Forbidden, RunpassError
from runpass.vault.errors import PolicyDenied, TokenInvalid, VaultFailure
from runpass.vault.session import VaultSession

log = structlog.get_logger()
SHARE: Final = 0.5
"""Of what a token has left: renewal at half time leaves room for several more tries."""
LEAST_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 60.0


class Renewal:
    """What keeps one login's token, and those that follow it, alive until it is cancelled."""

    def __init__(
        self,
        again: Callable[[VaultSession], Awaitable[VaultSession]],
        renewed: Callable[[VaultSession, timedelta], None],
        say: Callable[[str], Awaitable[None]],
    ) -> None:
        self._again = again
        self._renewed = renewed
        self._say = say
        self._has_said = False

    async def keep(self, session: VaultSession) -> None:
        """Renew, and log in again when a token can be renewed no further. Ends when nothing more can be done.

        A failure is said once in the run's log and ends nothing: the token at hand may last as long as the run.
        """
        current: VaultSession | None = session
        while current is not None and current.granted.ttl > timedelta(0):
            await self._renew(current)
            current = await self._log_in_again(current)

    async def _renew(self, session: VaultSession) -> None:
        """Renew for as long as that gives enough; at its end it is time for another token."""
        left = session.granted.ttl
        while True:
            await asyncio.sleep(max(left.total_seconds() * SHARE, LEAST_SECONDS))
            if not session.granted.renewable:
                return
            try:
                got = await asyncio.to_thread(session.renew)
            except (TokenInvalid, PolicyDenied) as error:
                log.warning("vault_token_not_renewed", code=error.code, error=error.message)
                return
            except VaultFailure as error:
                await self._trouble("The Vault token could not be renewed", error)
                left *= SHARE
                if left.total_seconds() < LEAST_SECONDS:
                    return
                continue
            self._renewed(session, got)
            if got <= session.granted.ttl * SHARE:
                return
            left = got

    async def _log_in_again(self, session: VaultSession) -> VaultSession | None:
        pause = LEAST_SECONDS
        while True:
            try:
                return await self._again(session)
            except (Forbidden, Conflict) as error:  # no identity token for that any more, or the lease was lost
                await self._trouble("The runner cannot log in to the Vault again", error)
                return None
            except RunpassError as error:
                await self._trouble("The runner could not log in to the Vault again", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _trouble(self, what: str, error: RunpassError) -> None:
        log.warning("vault_token_not_kept", code=error.code, error=error.message)
        if not self._has_said:
            self._has_said = True
            await self._say(f"{what}: {error.message}. The token at hand may end before the run does.")
