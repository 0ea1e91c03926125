"""The job's identity tokens as files that stay fresh for the whole run.

What a program is given in its environment is as old as the program; a file can be read again. Each token stands in a
file of its own, replaced in one step, long before the one in it ends.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from runpass.clock import Clock
from runpass.errors import JobError, RunpassError, StaleLease
from runpass.protocol.identity import IdentityToken
from runpass.runner.cell import Owner
from runpass.runner.identity import Identity
from runpass.runner.workspace import Workspace

log = structlog.get_logger()
DIRECTORY: Final = "identity"
SHARE: Final = 0.5
"""Of a token's life: a new one at half time leaves room for several more tries."""
LEAST_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0
Say = Callable[[str], Awaitable[None]]


class TokenDirectory:
    """The directory of the files.

    SECURITY: it belongs to the runner, so the run can put nothing into it, and it is held open, so the run, which can
    move it, cannot make the runner write anywhere else. It must be made before anything of the run is running.
    """

    def __init__(self, workspace: Workspace, owner: Owner | None) -> None:
        self._path = workspace.directory / DIRECTORY
        self._owner = owner
        try:
            self._path.mkdir(mode=0o700)
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            if owner is not None:
                os.fchmod(self._descriptor, 0o711)
        except OSError as error:
            raise JobError(f"The directory for identity tokens could not be made: {error.strerror}.") from error

    def write(self, name: str, token: IdentityToken) -> Path:
        """Put a token into its file, in one step, and give where it stands. Raises `JobError`."""
        aside = f".{name}-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(aside, flags, 0o400, dir_fd=self._descriptor), "wb") as file:
                file.write(token.token.reveal().encode())
                if self._owner is not None:
                    os.fchown(file.fileno(), self._owner.uid, self._owner.gid)
            os.replace(aside, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError as error:
            with suppress(OSError):
                os.unlink(aside, dir_fd=self._descriptor)
            raise JobError(f"An identity token could not be written: {error.strerror}.") from error
        return self._path / name

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._descriptor)


class TokenFiles:
    """Keeps the files of one run fresh, from `start` to `close`."""

    def __init__(self, identity: Identity, say: Say, clock: Clock) -> None:
        self._identity = identity
        self._say = say
        self._clock = clock
        self._directory: TokenDirectory | None = None
        self._refreshing: list[asyncio.Task[None]] = []

    async def start(
        self, workspace: Workspace, owner: Owner | None, tokens: Mapping[str, IdentityToken]
    ) -> dict[str, str]:
        """Write the tokens and begin to renew them; give the variables that say where they stand.

        Raises `JobError`.
        """
        if not tokens:
            return {}
        directory = self._directory = await asyncio.to_thread(TokenDirectory, workspace, owner)
        found = {}
        for name, token in tokens.items():
            found[f"{name}_FILE"] = str(await asyncio.to_thread(directory.write, file_name(name), token))
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

    async def _refresh(self, directory: TokenDirectory, name: str, token: IdentityToken) -> None:
        told = False
        pause = self._half_life(token)
        while True:
            await asyncio.sleep(pause)
            try:
                token = await self._identity.ask(name)
                await asyncio.to_thread(directory.write, file_name(name), token)
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


def file_name(variable: str) -> str:
    """Give the name of a token's file: `ENV0_OIDC_TOKEN` stands in `oidc-token`."""
    return variable.removeprefix("ENV0_").lower().replace("_", "-")
