"""The job's identity tokens as files that stay fresh for the whole run.

What a program is given in its environment is as old as the program; a file can be read again. Each token stands in a
file of its own, replaced in one step, long before the one in it ends.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from runpass.clock import Clock
from runpass.errors import RunpassError, StaleLease
from runpass.protocol.identity import IdentityToken
from runpass.runner.cell import Owner
from runpass.runner.identity import Identity
from runpass.runner.owned_files import OwnedFiles
from runpass.runner.workspace import Workspace

log = structlog.get_logger()
DIRECTORY: Final = "identity"
SHARE: Final = 0.5
"""Of a token's life: a new one at half time leaves room for several more tries."""
LEAST_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0
Say = Callable[[str], Awaitable[None]]


class TokenFiles:
    """Keeps the files of one run fresh, from `start` to `close`."""

    def __init__(self, identity: Identity, say: Say, clock: Clock) -> None:
        self._identity = identity
        self._say = say
        self._clock = clock
        self._directory: OwnedFiles | None = None
        self._refreshing: list[asyncio.Task[None]] = []

    async def start(
        self, workspace: Workspace, owner: Owner | None, tokens: Mapping[str, IdentityToken]
    ) -> dict[str, str]:
        """Write the tokens and begin to renew them; give the variables that say where they stand.

        Raises `JobError`.
        """
        if not tokens:
            return {}
        directory = self._directory = await asyncio.to_thread(OwnedFiles, workspace, owner, DIRECTORY)
        found = {}
        for name, token in tokens.items():
            found[f"{name}_FILE"] = str(await asyncio.to_thread(_write, directory, name, token))
            self._refreshing.append(asyncio.create_task(self._refresh(directory, name, token)))
        return found

    async def close(self) -> list[str]:
        """Renew no more."""
        for task in self._refreshing:
            task.cancel()
        await asyncio.gather(*self._refreshing, return_exceptions=True)
        self._refreshing = []
        if self._directory is not None:
            self._directory.close()
            self._directory = None
        return []

    async def _refresh(self, directory: OwnedFiles, name: str, token: IdentityToken) -> None:
        told = False
        pause = self._half_life(token)
        while True:
            await asyncio.sleep(pause)
            try:
                token = await self._identity.ask(name)
                await asyncio.to_thread(_write, directory, name, token)
            except StaleLease:
                return  # the run is over
            except RunpassError as error:
                log.warning("identity_token_not_renewed", token=name, code=error.code, error=error.message)
                if not told:
                    await self._say(f"{name}_FILE could not be renewed: {error.message} It is tried again.")
                told, pause = True, RETRY_SECONDS
            else:
                told, pause = False, self._half_life(token)

    def _half_life(self, token: IdentityToken) -> float:
        issued_at = token.issued_at or self._clock.now()
        life: timedelta = token.expires_at - issued_at
        return max(life.total_seconds() * SHARE, LEAST_SECONDS)


def _write(directory: OwnedFiles, name: str, token: IdentityToken) -> Path:
    return directory.write(file_name(name), token.token.reveal().encode())


def file_name(variable: str) -> str:
    """Give the name of a token's file: `ENV0_OIDC_TOKEN` stands in `oidc-token`."""
    return variable.removeprefix("ENV0_").lower().replace("_", "-")
