"""What this room's handlers ask for, beside what `http` and `access` give."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from runpass.clock import Clock
from runpass.server.access.actors import Actor
from runpass.server.access.dependencies import Caller
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database
from runpass.server.deployments.queue import Queueing
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.http.dependencies import Db, Now, Sealing, Settings


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that a route which may queue a deployment needs."""

    caller: Actor
    database: Database
    clock: Clock
    cipher: Cipher
    wakeups: Wakeups
    timeout_seconds: float
    organization_log_bytes: int

    @property
    def queueing(self) -> Queueing:
        """Give what the queue needs."""
        return Queueing(self.caller, self.cipher, self.clock, self.timeout_seconds, self.organization_log_bytes)


async def _desk(  # noqa: PLR0917 -- FastAPI's way to say what is needed
    request: Request, caller: Caller, database: Db, clock: Now, cipher: Sealing, settings: Settings
) -> Desk:
    return Desk(
        caller=caller,
        database=database,
        clock=clock,
        cipher=cipher,
        wakeups=request.app.state.wakeups,
        timeout_seconds=settings.run_timeout_seconds,
        organization_log_bytes=settings.organization_log_bytes,
    )


def desk_of(request: Request, actor: Actor) -> Desk:
    """Give the same for a page of the console."""
    state = request.app.state
    settings = state.settings
    return Desk(
        caller=actor,
        database=state.database,
        clock=state.clock,
        cipher=state.cipher,
        wakeups=state.wakeups,
        timeout_seconds=settings.run_timeout_seconds,
        organization_log_bytes=settings.organization_log_bytes,
    )


AtDesk = Annotated[Desk, Depends(_desk)]
