"""Every query on tasks at Vaults."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, select, update

from runpass.ids import CredentialId, OrganizationId, PoolId, ProjectId, RunnerId, VaultTaskId
from runpass.protocol.vault_tasks import Checked
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.tenancy import projects
from runpass.server.db.schema.vault_tasks import vault_tasks
from runpass.server.vault_tasks.model import TAKES, WAITS, VaultTask


def insert_task(tx: Transaction, task: VaultTask) -> None:
    """Store a new task."""
    tx.execute(
        vault_tasks.insert().values(
            id=task.id,
            organization_id=task.organization_id,
            pool_id=task.pool_id,
            project_id=task.project_id,
            credential_id=task.credential_id,
            paths=list(task.paths),
            requested_by=task.requested_by,
            created_at=task.created_at,
        )
    )


def get_task(tx: Transaction, organization_id: OrganizationId, task_id: VaultTaskId) -> VaultTask | None:
    """Give a task of this organization."""
    mine = (vault_tasks.c.id == task_id) & (vault_tasks.c.organization_id == organization_id)
    row = tx.execute(select(vault_tasks).where(mine)).one_or_none()
    return None if row is None else _task(row)


def list_tasks(
    tx: Transaction,
    organization_id: OrganizationId,
    credential_id: CredentialId,
    visible: ColumnElement[bool],
    *,
    limit: int,
    offset: int = 0,
) -> list[VaultTask]:
    """Give a page of the tasks about a credential, newest first: those of projects for which `visible` holds."""
    there = exists().where(projects.c.id == vault_tasks.c.project_id, projects.c.deleted_at.is_(None), visible)
    about = (vault_tasks.c.organization_id == organization_id) & (vault_tasks.c.credential_id == credential_id)
    query = select(vault_tasks).where(about, there).order_by(vault_tasks.c.id.desc()).limit(limit).offset(offset)
    return [_task(row) for row in tx.execute(query)]


def count_since(tx: Transaction, organization_id: OrganizationId, since: datetime) -> int:
    """Count an organization's tasks that were asked for since then."""
    recent = (vault_tasks.c.organization_id == organization_id) & (vault_tasks.c.created_at > since)
    return int(tx.execute(select(func.count()).select_from(vault_tasks).where(recent)).scalar_one())


def forget_before(tx: Transaction, organization_id: OrganizationId, before: datetime) -> None:
    """Delete an organization's tasks that were asked for before then."""
    old = (vault_tasks.c.organization_id == organization_id) & (vault_tasks.c.created_at < before)
    tx.execute(delete(vault_tasks).where(old))


def take_next(
    tx: Transaction,
    among: tuple[PoolId, ProjectId | None],
    runner_id: RunnerId,
    secret_sha256: bytes,
    now: datetime,
) -> VaultTask | None:
    """Give the oldest task of a pool, or of one project in it, to a runner."""
    pool_id, project_id = among
    waiting = vault_tasks.c.taken_at.is_(None) & (vault_tasks.c.created_at > now - WAITS)
    query = select(vault_tasks.c.id).where(waiting, vault_tasks.c.pool_id == pool_id)
    if project_id is not None:
        query = query.where(vault_tasks.c.project_id == project_id)
    oldest = query.order_by(vault_tasks.c.id).limit(1).with_for_update(skip_locked=True)
    chosen = tx.execute(oldest).scalar_one_or_none()
    if chosen is None:
        return None
    values = {"taken_at": now, "runner_id": runner_id, "secret_sha256": secret_sha256}
    row = tx.execute(
        update(vault_tasks).where(vault_tasks.c.id == chosen).values(**values).returning(vault_tasks)
    ).one_or_none()
    return None if row is None else _task(row)


def finish_task(tx: Transaction, task_id: VaultTaskId, checks: Sequence[Checked], now: datetime) -> bool:
    """Keep what a runner found, if the task is still going on; whether it is."""
    going_on = vault_tasks.c.finished_at.is_(None) & (vault_tasks.c.taken_at > now - TAKES)
    found = [item.model_dump(mode="json", by_alias=True) for item in checks]
    change = update(vault_tasks).where(vault_tasks.c.id == task_id, going_on)
    return tx.execute(change.values(checks=found, finished_at=now)).rowcount == 1


def pools_with_tasks(tx: Transaction, now: datetime) -> set[PoolId]:
    """Give the pools that have a task to be taken."""
    waiting = vault_tasks.c.taken_at.is_(None) & (vault_tasks.c.created_at > now - WAITS)
    return {PoolId(pool) for pool in tx.execute(select(vault_tasks.c.pool_id).where(waiting).distinct()).scalars()}


def _task(row: Row[Any]) -> VaultTask:
    return VaultTask(
        id=row.id,
        organization_id=row.organization_id,
        pool_id=row.pool_id,
        project_id=row.project_id,
        credential_id=row.credential_id,
        runner_id=row.runner_id,
        paths=tuple(row.paths),
        checks=None if row.checks is None else tuple(Checked.model_validate(item) for item in row.checks),
        secret_sha256=row.secret_sha256,
        requested_by=row.requested_by,
        created_at=row.created_at,
        taken_at=row.taken_at,
        finished_at=row.finished_at,
    )
