"""Retention of deployments: one that ended long ago goes with everything of it, once nothing can need it any more.

What may still be needed stays, however old: see `_may_go`. The audit trail has a retention of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, select

from runpass.clock import Clock
from runpass.ids import EnvironmentId
from runpass.server.db.engine import Database, Transaction
from runpass.server.db.schema.deployments import deployment_steps, deployments, idempotency_keys, run_leases
from runpass.server.db.schema.vault_logins import identity_tokens, vault_logins
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.deployments.store import ids_that_decide
from runpass.server.deployments.transitions import FINAL
from runpass.server.keeping.retention import LINES_AT_ONCE, LOOKS_AT_ONCE, delete_lines, uncount

_BEGINNING: Final = UUID(int=0)
_FINAL: Final = frozenset(status.value for status in FINAL)


@dataclass(slots=True)
class DeploymentRetention:
    """Forgets deployments that ended long ago, each in transactions of its own, the oldest first."""

    database: Database
    clock: Clock
    keep_for: timedelta
    lines_at_once: int = LINES_AT_ONCE
    looks_at_once: int = LOOKS_AT_ONCE
    _after: UUID = _BEGINNING

    def work(self) -> int:
        """Go on where the last call ended, for a bounded time; give how many deployments are gone."""
        before = self.clock.now() - self.keep_for
        return sum(self._forget(deployment_id, before) for deployment_id in self._next(before))

    def _next(self, before: datetime) -> Iterator[UUID]:
        """Give deployments by age, and begin anew after the last that is old enough."""
        for _ in range(self.looks_at_once):
            first = select(deployments.c.id, deployments.c.queued_at).where(deployments.c.id > self._after)
            with self.database.read() as tx:
                found = tx.execute(first.order_by(deployments.c.id).limit(1)).one_or_none()
            if found is None or found.queued_at >= before:
                self._after = _BEGINNING
                return
            self._after = found.id
            yield found.id

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
                    _delete(tx, deployment_id)
                    return True


def _may_go(tx: Transaction, deployment_id: UUID, before: datetime) -> bool:
    """Whether a deployment ended before a moment, and nothing can ask for it any more.

    Its environment needs its newest one, its newest successful one, the one with its newest outputs, and those that its
    state comes from, which may be none of these: newer ones may be tasks, or were cancelled. SECURITY: what is
    outstanding of it at a Vault, and identity tokens that could still be used, must not be forgotten with it.
    """
    columns = deployments.c.environment_id, deployments.c.status, deployments.c.finished_at
    row = tx.execute(select(*columns).where(deployments.c.id == deployment_id)).one_or_none()
    if row is None or row.status not in _FINAL or row.finished_at is None or row.finished_at >= before:
        return False
    return deployment_id not in _needed(tx, row.environment_id) and not _is_accounted_for(tx, deployment_id)


def _needed(tx: Transaction, environment_id: UUID) -> set[UUID]:
    """Give the deployments that their environment needs."""
    mine = deployments.c.environment_id == environment_id
    kinds: tuple[ColumnElement[bool], ...] = (
        mine,
        mine & (deployments.c.status == DeploymentStatus.SUCCESS.value),
        mine & deployments.c.outputs_sealed.is_not(None),
    )
    newest = (select(deployments.c.id).where(kind).order_by(deployments.c.id.desc()).limit(1) for kind in kinds)
    found = {found for query in newest for found in tx.execute(query).scalars()}
    return found | ids_that_decide(tx, EnvironmentId(environment_id))


def _is_accounted_for(tx: Transaction, deployment_id: UUID) -> bool:
    """Whether there is a lease that goes on, a login that is not settled, or a token that the server still counts."""
    mine = run_leases.c.deployment_id == deployment_id
    looks: tuple[Select[Any], ...] = (
        select(run_leases.c.id).where(mine, run_leases.c.ended_at.is_(None)),
        select(vault_logins.c.id).where(
            vault_logins.c.deployment_id == deployment_id, vault_logins.c.settled_at.is_(None)
        ),
        select(identity_tokens.c.id).where(identity_tokens.c.deployment_id == deployment_id),
    )
    return any(tx.execute(look.limit(1)).one_or_none() is not None for look in looks)


def _delete(tx: Transaction, deployment_id: UUID) -> None:
    """Delete a deployment whose log is gone, after everything that points at it."""
    for table in (vault_logins, run_leases, deployment_steps, idempotency_keys):
        tx.execute(delete(table).where(table.c.deployment_id == deployment_id))
    tx.execute(delete(deployments).where(deployments.c.id == deployment_id))
