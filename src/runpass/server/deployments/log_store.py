"""Every query on steps and log events. Writing the same report twice changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update

from runpass.ids import DeploymentId, OrganizationId, new_id
from runpass.protocol.reports import ENDED, LogEvent, LogLevel, Step, StepStatus
from runpass.server.db.engine import Transaction, insert_into
from runpass.server.db.schema.deployments import (
    deployment_log_events,
    deployment_steps,
    deployments,
    organization_usage,
)

LINE_BYTES = 64


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A step as it is stored."""

    id: UUID
    name: str
    order: int
    status: StepStatus
    started_at: datetime | None
    completed_at: datetime | None


def save_steps(
    tx: Transaction, organization_id: OrganizationId, deployment_id: DeploymentId, steps: Sequence[Step]
) -> None:
    """Store steps by name; a later report replaces an earlier one, except that a completed step stays so."""
    if not steps:
        return
    rows = [
        {
            "id": new_id(),
            "organization_id": organization_id,
            "deployment_id": deployment_id,
            "name": step.name,
            "order": step.order,
            "status": step.status.value,
            "started_at": step.started_at,
            "completed_at": step.completed_at,
        }
        for step in steps
    ]
    insert = insert_into(tx, deployment_steps)
    upsert = insert.on_conflict_do_update(
        index_elements=["deployment_id", "name"],
        set_={name: insert.excluded[name] for name in ("order", "status", "started_at", "completed_at")},
        where=deployment_steps.c.completed_at.is_(None),
    )
    for row in rows:
        tx.execute(upsert, row)


def save_events(tx: Transaction, deployment_id: DeploymentId, events: Sequence[LogEvent]) -> int:
    """Store log events; one that is there already is left as it is. Give how many bytes the new ones count."""
    if not events:
        return 0
    rows = [
        {
            "deployment_id": deployment_id,
            "step": event.step,
            "number": event.number,
            "at": event.at,
            "level": event.level.value,
            "message": event.message,
        }
        for event in events
    ]
    table = deployment_log_events
    insert = insert_into(tx, table).on_conflict_do_nothing().returning(table.c.step, table.c.number)
    new = {(row.step, row.number) for row in tx.execute(insert, rows)}
    return sum(size_of(event) for event in events if (event.step, event.number) in new)


def known_events(tx: Transaction, deployment_id: DeploymentId, events: Sequence[LogEvent]) -> set[tuple[str, int]]:
    """Give step and number of those of these events that are stored already."""
    table, known = deployment_log_events, set()
    for step in {event.step for event in events}:
        numbers = [event.number for event in events if event.step == step]
        between = (table.c.step == step) & table.c.number.between(min(numbers), max(numbers))
        query = select(table.c.number).where(table.c.deployment_id == deployment_id, between)
        known |= {(step, number) for number in tx.execute(query).scalars()}
    return known


def size_of(event: LogEvent) -> int:
    """Give how many bytes an event counts towards what logs may hold: its text, and what keeping any line costs."""
    return len(event.message.encode(errors="replace")) + LINE_BYTES


def list_steps(tx: Transaction, deployment_id: DeploymentId) -> list[StoredStep]:
    """Give a deployment's steps in order."""
    query = (
        select(deployment_steps)
        .where(deployment_steps.c.deployment_id == deployment_id)
        .order_by(deployment_steps.c.order, deployment_steps.c.id)
    )
    return [
        StoredStep(row.id, row.name, row.order, StepStatus(row.status), row.started_at, row.completed_at)
        for row in tx.execute(query)
    ]


def step_has_ended(tx: Transaction, deployment_id: DeploymentId, name: str) -> bool:
    """Whether this step was reported as ended. A line that is late, or written in the background, may still follow."""
    steps = deployment_steps
    query = select(steps.c.status).where(steps.c.deployment_id == deployment_id, steps.c.name == name)
    status = tx.execute(query).scalar_one_or_none()
    return status is not None and StepStatus(status) in ENDED


def list_events(tx: Transaction, deployment_id: DeploymentId, step: str, *, after: int, limit: int) -> list[LogEvent]:
    """Give the events of a step with numbers above `after`, in order."""
    events = deployment_log_events
    this = (events.c.deployment_id == deployment_id) & (events.c.step == step) & (events.c.number > after)
    query = select(events).where(this).order_by(events.c.number).limit(limit)
    return [
        LogEvent(step=row.step, number=row.number, at=row.at, level=LogLevel(row.level), message=row.message)
        for row in tx.execute(query)
    ]


def end_open_steps(tx: Transaction, deployment_id: DeploymentId, now: datetime) -> None:
    """End every step that is still open, because nobody will report on it any more: begun ones failed."""
    steps = deployment_steps
    becomes = {
        StepStatus.NOT_STARTED: StepStatus.SKIPPED,
        StepStatus.IN_PROGRESS: StepStatus.FAIL,
        StepStatus.WAITING_FOR_USER: StepStatus.FAIL,
    }
    for before, after in becomes.items():
        which = (steps.c.deployment_id == deployment_id) & (steps.c.status == before.value)
        tx.execute(update(steps).where(which).values(status=after.value, completed_at=now))


def last_number(tx: Transaction, deployment_id: DeploymentId, step: str) -> int:
    """Give the highest event number of a step; 0 if there is none."""
    events = deployment_log_events
    query = select(func.max(events.c.number)).where(events.c.deployment_id == deployment_id, events.c.step == step)
    return tx.execute(query).scalar() or 0


def count_log_bytes(tx: Transaction, deployment_id: DeploymentId, size_bytes: int) -> None:
    """Add to what a deployment's log holds."""
    more = update(deployments).where(deployments.c.id == deployment_id)
    tx.execute(more.values(log_bytes=deployments.c.log_bytes + size_bytes))


def count_usage(tx: Transaction, organization_id: OrganizationId, size_bytes: int) -> None:
    """Add what a deployment's log holds, which has ended, to what its organization's logs hold."""
    if size_bytes == 0:
        return
    table = organization_usage
    first = insert_into(tx, table).values(organization_id=organization_id, log_bytes=size_bytes)
    more = {"log_bytes": table.c.log_bytes + size_bytes}
    tx.execute(first.on_conflict_do_update(index_elements=["organization_id"], set_=more))


def usage(tx: Transaction, organization_id: OrganizationId) -> int:
    """Give how many bytes the logs of an organization's ended deployments hold."""
    mine = organization_usage.c.organization_id == organization_id
    return tx.execute(select(organization_usage.c.log_bytes).where(mine)).scalar_one_or_none() or 0


def count_steps(tx: Transaction, deployment_id: DeploymentId, prefix: str) -> int:
    """Count a deployment's steps whose names begin so."""
    these = (deployment_steps.c.deployment_id == deployment_id) & deployment_steps.c.name.startswith(
        prefix, autoescape=True
    )
    return int(tx.execute(select(func.count()).select_from(deployment_steps).where(these)).scalar_one())
