"""Retention: logs and audit events that are old enough go, in small transactions; what may still be needed stays.

Only lines of logs and events of the audit trail are deleted here; whole deployments go in `deployment_retention`.
Signing keys are no matter of retention.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select, update

from runpass.clock import Clock
from runpass.server.db.engine import Database, Transaction
from runpass.server.db.schema.deployments import deployment_log_events, deployments, organization_usage
from runpass.server.trail.pruning import prune

LINES_AT_ONCE: Final = 2_000
LOOKS_AT_ONCE: Final = 500
_BEGINNING: Final = UUID(int=0)
_BY: Final = "system"
_EVENTS = deployment_log_events.c


@dataclass(slots=True)
class LogRetention:
    """Forgets logs of deployments that ended long ago; an environment's newest deployment keeps its own."""

    database: Database
    clock: Clock
    keep_for: timedelta
    lines_at_once: int = LINES_AT_ONCE
    looks_at_once: int = LOOKS_AT_ONCE
    _after: UUID = _BEGINNING

    def work(self) -> int:
        """Go on where the last call ended, for a bounded time; give how many deployments lost their log."""
        before = self.clock.now() - self.keep_for
        forgotten = 0
        for deployment_id in self._next():
            forgotten += self._forget(deployment_id, before)
        return forgotten

    def _next(self) -> Iterator[UUID]:
        """Give deployments that have a log, oldest first, and begin anew after the last."""
        for _ in range(self.looks_at_once):
            first = select(_EVENTS.deployment_id).where(_EVENTS.deployment_id > self._after)
            with self.database.read() as tx:
                found = tx.execute(first.order_by(_EVENTS.deployment_id).limit(1)).scalar_one_or_none()
            if found is None:
                self._after = _BEGINNING
                return
            self._after = found
            yield found

    def _forget(self, deployment_id: UUID, before: datetime) -> bool:
        with self.database.read() as tx:
            if not _may_go(tx, deployment_id, before):
                return False
        while True:
            with self.database.write() as tx:
                # Asked again where it counts: nothing of it may have changed in between.
                if not _may_go(tx, deployment_id, before):
                    return False
                if delete_lines(tx, deployment_id, self.lines_at_once) == 0:
                    uncount(tx, deployment_id)
                    return True


def forget_events(database: Database, clock: Clock, keep_for: timedelta) -> int:
    """Prune the audit trail by whole days; each chain keeps a checkpoint that the rest is verified from.

    Give how many events went. Days are whole because each pruning leaves an event and a checkpoint itself.
    """
    before = (clock.now() - keep_for).replace(hour=0, minute=0, second=0, microsecond=0)
    return sum(prune(database, before, actor=_BY, clock=clock).values())


def _may_go(tx: Transaction, deployment_id: UUID, before: datetime) -> bool:
    """Whether a deployment ended before a moment and its environment has a newer one."""
    mine = select(deployments.c.environment_id, deployments.c.finished_at).where(deployments.c.id == deployment_id)
    row = tx.execute(mine).one_or_none()
    if row is None or row.finished_at is None or row.finished_at >= before:
        return False
    newest = select(deployments.c.id).where(deployments.c.environment_id == row.environment_id)
    return bool(tx.execute(newest.order_by(deployments.c.id.desc()).limit(1)).scalar_one() != deployment_id)


def delete_lines(tx: Transaction, deployment_id: UUID, limit: int) -> int:
    """Delete the first lines of a deployment's log; give how many there were to delete."""
    lines = select(_EVENTS.step, _EVENTS.number).where(_EVENTS.deployment_id == deployment_id)
    last = tx.execute(lines.order_by(_EVENTS.step, _EVENTS.number).limit(limit)).all()
    if not last:
        return 0
    step, number = last[-1]
    up_to = or_(_EVENTS.step < step, and_(_EVENTS.step == step, _EVENTS.number <= number))
    tx.execute(delete(deployment_log_events).where(_EVENTS.deployment_id == deployment_id, up_to))
    return len(last)


def uncount(tx: Transaction, deployment_id: UUID) -> None:
    """Take a log that is gone out of what its organization's logs hold; of two servers, only one does."""
    mine = select(deployments.c.organization_id, deployments.c.log_bytes).where(deployments.c.id == deployment_id)
    row = tx.execute(mine).one()
    gone = update(deployments).where(deployments.c.id == deployment_id, deployments.c.log_bytes == row.log_bytes)
    if row.log_bytes == 0 or tx.execute(gone.values(log_bytes=0)).rowcount != 1:
        return
    usage = organization_usage.c
    rest = func.max(usage.log_bytes - row.log_bytes, 0) if tx.dialect.name == "sqlite" else None
    left = func.greatest(usage.log_bytes - row.log_bytes, 0) if rest is None else rest
    tx.execute(update(organization_usage).where(usage.organization_id == row.organization_id).values(log_bytes=left))
