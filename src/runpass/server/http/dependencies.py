"""What handlers ask for. The composition root puts these on `app.state`; handlers name them as parameters.

They are `async` on purpose: FastAPI would spend a thread on each one otherwise.
"""

from typing import Annotated

from fastapi import Depends, Query, Request

from runpass.clock import Clock
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database
from runpass.server.settings import ServerSettings


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _clock(request: Request) -> Clock:
    clock: Clock = request.app.state.clock
    return clock


async def _cipher(request: Request) -> Cipher:
    cipher: Cipher = request.app.state.cipher
    return cipher


async def _settings(request: Request) -> ServerSettings:
    settings: ServerSettings = request.app.state.settings
    return settings


Db = Annotated[Database, Depends(_database)]
Now = Annotated[Clock, Depends(_clock)]
Sealing = Annotated[Cipher, Depends(_cipher)]
Settings = Annotated[ServerSettings, Depends(_settings)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
"""How many of a list to leave out: bounded far above any list, and far below what a database cannot count."""
