"""The Vault tokens that the commands of a run hold, kept up to date while they run.

The environment of a running process cannot be changed. A command that outlives a token finds its successor in
`~/.vault-token`, where `vault`, `bao` and Terraform's provider look when `VAULT_TOKEN` is not set; a command that
starts later gets it in its environment.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from runpass.secret import Secret

TOKEN_VARIABLE: Final = "VAULT_TOKEN"  # noqa: S105 -- a variable's name
TOKEN_FILE: Final = ".vault-token"  # noqa: S105 -- a file's name


class HandedTokens:
    """What the commands were given, and what has taken its place since."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._successors: dict[Secret, Secret] = {}
        self._in_file: Secret | None = None

    async def hand(self, variables: dict[str, str]) -> None:
        """Put the token of these variables into the file, where there is one."""
        token = variables.get(TOKEN_VARIABLE)
        if token:
            await self._put(Secret(token))

    async def replace(self, old: Secret, new: Secret) -> None:
        """Let a token take another one's place. Raises `JobError` if the file cannot be written."""
        self._successors[old] = new
        if self._in_file == old:
            await self._put(new)

    def renew(self, variables: dict[str, str]) -> None:
        """Give these variables the tokens that have taken the place of theirs."""
        for name, value in variables.items():
            token = Secret(value)
            while token in self._successors:
                token = self._successors[token]
            variables[name] = token.reveal()

    async def _put(self, token: Secret) -> None:
        self._in_file = token
        await asyncio.to_thread(self._write, token.reveal().encode())
