"""The server processes, as they tell of themselves: which change of the keys each has seen last.

A process has its row before it signs for the first time, so no row means no process. What a process acknowledges is in
its memory already: it neither signs with nor publishes a key that was taken out up to that change.
"""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, select

from runpass.clock import Clock
from runpass.ids import new_id
from runpass.server.db.engine import Database, Transaction, insert_into
from runpass.server.db.schema.compromises import server_processes
from runpass.server.issuer.rings import Rings

TELL_EVERY: Final = timedelta(seconds=5)
"""How often a process writes that it is there, while the keys do not change."""
FORGOTTEN_AFTER: Final = timedelta(days=1)
CLOCKS: Final = timedelta(minutes=1)
"""What the clock of a process and that of whoever asks for it may differ by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProcess:
    """One process, as it was when it told of itself last."""

    id: UUID
    name: str
    """Machine and process id, for the operator."""
    started_at: datetime
    seen_at: datetime
    seen_change: int
    stale_after: timedelta
    """How long it signs with what it read last: its own `key_ring_stale_seconds`."""
    documents_stale_after: timedelta
    """How long it publishes what it read last."""

    def may_sign_until(self, stopped_at: datetime) -> datetime:
        """Give until when it may sign with a key that was stopped then, if it has not acknowledged that."""
        return stopped_at + self.stale_after

    def may_publish_until(self, stopped_at: datetime) -> datetime:
        """Give until when it may publish a key that was stopped then, if it has not acknowledged that."""
        return stopped_at + self.documents_stale_after


class Presence:
    """What this process tells of itself."""

    def __init__(self, database: Database, clock: Clock, rings: Rings) -> None:
        self._database = database
        self._clock = clock
        self._rings = rings
        self._id = new_id()
        self._name = f"{socket.gethostname()}:{os.getpid()}"[:255]
        self._started_at = clock.now()
        self._told: tuple[datetime, int] | None = None

    def tend(self) -> None:
        """Catch up with the keys, and tell of it."""
        self._rings.tend()
        self.tell()

    def tell(self) -> None:
        """Write what this process has seen, if that is news."""
        now, change = self._clock.now(), self._rings.seen_change
        if self._told is not None and self._told[1] == change and timedelta(0) <= now - self._told[0] < TELL_EVERY:
            return
        policy = self._rings.policy
        values = {
            "name": self._name,
            "started_at": self._started_at,
            "seen_at": now,
            "seen_change": change,
            "stale_seconds": int(policy.stale_after.total_seconds()),
            "documents_stale_seconds": int(policy.documents_stale_after.total_seconds()),
        }
        with self._database.write() as tx:
            if self._told is None:
                forget_before(tx, now - FORGOTTEN_AFTER)
            row = insert_into(tx, server_processes).values(id=self._id, **values)
            tx.execute(row.on_conflict_do_update(index_elements=["id"], set_=values))
        self._told = (now, change)

    def end(self) -> None:
        """Take the row away: this process does nothing any more."""
        with self._database.write() as tx:
            tx.execute(delete(server_processes).where(server_processes.c.id == self._id))


def processes(tx: Transaction) -> list[ServerProcess]:
    """Give all processes that told of themselves and did not end in order, the oldest first."""
    query = select(server_processes).order_by(server_processes.c.started_at, server_processes.c.id)
    return [_process(row) for row in tx.execute(query)]


def behind(tx: Transaction, change: int, now: datetime) -> list[ServerProcess]:
    """Give the processes that have not seen a change and may still sign or publish what was before it.

    One that was not heard of for so long that its keys are too old for both can do neither: the first thing that it
    does when it wakes up is to look.
    """
    missing = (item for item in processes(tx) if item.seen_change < change)
    return [item for item in missing if now <= item.seen_at + TELL_EVERY + _longest(item) + CLOCKS]


def forget_before(tx: Transaction, moment: datetime) -> None:
    """Delete the rows of processes that were not heard of since then: they crashed."""
    tx.execute(delete(server_processes).where(server_processes.c.seen_at < moment))


def _longest(process: ServerProcess) -> timedelta:
    return max(process.stale_after, process.documents_stale_after)


def _process(row: Row[Any]) -> ServerProcess:
    return ServerProcess(
        id=row.id,
        name=row.name,
        started_at=row.started_at,
        seen_at=row.seen_at,
        seen_change=row.seen_change,
        stale_after=timedelta(seconds=row.stale_seconds),
        documents_stale_after=timedelta(seconds=row.documents_stale_seconds),
    )
