"""Queries of those who read a log in a browser: windows of a step, what came since, lines that hold a text."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from runpass.ids import DeploymentId
from runpass.protocol.reports import LogEvent, LogLevel
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.deployments import deployment_log_events, deployment_steps, deployments
from runpass.server.deployments.log_store import StoredStep, list_events

_EVENTS = deployment_log_events


@dataclass(frozen=True, slots=True)
class Pulse:
    """What tells that something about a deployment has changed, for comparing."""

    status: str
    log_bytes: int
    steps: tuple[tuple[str, str, datetime | None, datetime | None], ...]


def last_numbers(tx: Transaction, deployment_id: DeploymentId) -> Mapping[str, int]:
    """Give the number of the last line of each step that has some: one look into the index for each step."""
    mine = (_EVENTS.c.deployment_id == deployment_steps.c.deployment_id) & (_EVENTS.c.step == deployment_steps.c.name)
    last = select(func.max(_EVENTS.c.number)).where(mine).correlate(deployment_steps).scalar_subquery()
    query = select(deployment_steps.c.name, last).where(deployment_steps.c.deployment_id == deployment_id)
    return {name: number for name, number in tx.execute(query) if number is not None}


def lines_before(tx: Transaction, deployment_id: DeploymentId, step: str, before: int, limit: int) -> list[LogEvent]:
    """Give the last lines of a step with numbers below `before`, in order."""
    this = (_EVENTS.c.deployment_id == deployment_id) & (_EVENTS.c.step == step) & (_EVENTS.c.number < before)
    rows = tx.execute(select(_EVENTS).where(this).order_by(_EVENTS.c.number.desc()).limit(limit)).all()
    return [_event(row) for row in reversed(rows)]


def lines_since(
    tx: Transaction, deployment_id: DeploymentId, steps: Sequence[StoredStep], read: Mapping[str, int], limit: int
) -> list[LogEvent]:
    """Give lines behind those that were `read` of each step, step by step in their order, `limit` at most."""
    last, found = last_numbers(tx, deployment_id), list[LogEvent]()
    for step in steps:
        after = read.get(step.name, 0)
        if last.get(step.name, 0) > after and len(found) < limit:
            found += list_events(tx, deployment_id, step.name, after=after, limit=limit - len(found))
    return found


def lines_with(tx: Transaction, deployment_id: DeploymentId, text: str, limit: int) -> list[LogEvent]:
    """Give the first lines of a deployment that hold a text, capitals or not; colours inside of it hide it."""
    this = (_EVENTS.c.deployment_id == deployment_id) & _EVENTS.c.message.icontains(text, autoescape=True)
    query = select(_EVENTS).where(this).order_by(_EVENTS.c.step, _EVENTS.c.number).limit(limit)
    return [_event(row) for row in tx.execute(query)]


def pulses(tx: Transaction, deployment_ids: Collection[DeploymentId]) -> Mapping[DeploymentId, Pulse]:
    """Give the pulse of each of these deployments that is there: two queries by key."""
    these = deployment_steps.c.deployment_id.in_(deployment_ids)
    columns = ("deployment_id", "name", "status", "started_at", "completed_at")
    steps: dict[DeploymentId, list[tuple[str, str, datetime | None, datetime | None]]] = {}
    query = select(*(deployment_steps.c[name] for name in columns)).where(these)
    for deployment_id, *step in tx.execute(query.order_by(deployment_steps.c.id)):
        name, status, started_at, completed_at = step
        steps.setdefault(DeploymentId(deployment_id), []).append((name, status, started_at, completed_at))
    table = deployments
    whole = select(table.c.id, table.c.status, table.c.log_bytes).where(table.c.id.in_(deployment_ids))
    return {
        DeploymentId(row.id): Pulse(row.status, row.log_bytes, tuple(steps.get(DeploymentId(row.id), ())))
        for row in tx.execute(whole)
    }


def _event(row: Row[Any]) -> LogEvent:
    return LogEvent(step=row.step, number=row.number, at=row.at, level=LogLevel(row.level), message=row.message)
