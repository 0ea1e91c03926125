"""Every query on deployments themselves."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Row, Select, bindparam, select, update

from runpass.ids import DeploymentId, EnvironmentId, OrganizationId, PoolId, ProjectId
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.deployments import deployments
from runpass.server.db.schema.tenancy import environments
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType

OCCUPYING = ("IN_PROGRESS", "WAITING_FOR_USER", "ABORTING")


def insert_deployment(tx: Transaction, deployment: Deployment) -> None:
    """Store a new deployment."""
    tx.execute(
        deployments.insert().values(
            id=deployment.id,
            organization_id=deployment.organization_id,
            project_id=deployment.project_id,
            environment_id=deployment.environment_id,
            template_id=deployment.template_id,
            pool_id=deployment.pool_id,
            type=deployment.type.value,
            status=deployment.status.value,
            started_by=deployment.started_by,
            comment=deployment.comment,
            revision=deployment.revision,
            timeout_seconds=deployment.timeout_seconds,
            inputs_sealed=deployment.inputs_sealed,
            queued_at=deployment.queued_at,
        )
    )


def get_deployment(tx: Transaction, organization_id: OrganizationId, deployment_id: DeploymentId) -> Deployment | None:
    """Give a deployment of this organization."""
    mine = (deployments.c.id == deployment_id) & (deployments.c.organization_id == organization_id)
    row = tx.execute(select(deployments).where(mine)).one_or_none()
    return None if row is None else _deployment(row)


def list_deployments(
    tx: Transaction, environment_id: EnvironmentId, *, limit: int, offset: int = 0
) -> list[Deployment]:
    """Give an environment's deployments, newest first."""
    query = _of(environment_id).limit(limit).offset(offset)
    return [_deployment(row) for row in tx.execute(query)]


def latest_deployments(
    tx: Transaction, environment_ids: Collection[EnvironmentId]
) -> Mapping[EnvironmentId, Deployment]:
    """Give the newest deployment of each of these environments that has one."""
    rows = tx.execute(latest_query(environment_ids))
    return {EnvironmentId(row.environment_id): _deployment(row) for row in rows}


def latest_query(environment_ids: Collection[EnvironmentId]) -> Select[Any]:
    """Give the query for the newest deployments: one look into the index for each environment."""
    past = deployments.alias("past")
    newest = (
        select(past.c.id)
        .where(past.c.environment_id == environments.c.id)
        .order_by(past.c.id.desc())
        .limit(1)
        .correlate(environments)
        .scalar_subquery()
    )
    joined = environments.join(deployments, deployments.c.id == newest)
    return select(deployments).select_from(joined).where(environments.c.id.in_(environment_ids))


def last_outcome(tx: Transaction, environment_id: EnvironmentId) -> DeploymentStatus | None:
    """Give how the environment's last deployment ended that ran at all; None if none ever did."""
    ran = (deployments.c.environment_id == environment_id) & deployments.c.started_at.is_not(None)
    ended = select(deployments.c.status).where(ran, deployments.c.finished_at.is_not(None))
    status = tx.execute(ended.order_by(deployments.c.finished_at.desc()).limit(1)).scalar_one_or_none()
    return None if status is None else DeploymentStatus(status)


def take_next(tx: Transaction, pool_id: PoolId, project_id: ProjectId | None, now: datetime) -> Deployment | None:
    """Make the oldest queued deployment of a pool whose environment is free `IN_PROGRESS`, and give it.

    Two takers of the same environment are told apart by the partial unique index: the loser gets a `Conflict`.
    """
    waiting = select(deployments.c.id).where(
        deployments.c.status == "QUEUED", deployments.c.pool_id == pool_id, ~_environment_is_busy()
    )
    if project_id is not None:
        waiting = waiting.where(deployments.c.project_id == project_id)
    oldest = waiting.order_by(deployments.c.id).limit(1).with_for_update(skip_locked=True)
    chosen = tx.execute(oldest).scalar_one_or_none()
    if chosen is None:
        return None
    taken = (
        update(deployments)
        .where(deployments.c.id == chosen, deployments.c.status == "QUEUED")
        .values(status="IN_PROGRESS", started_at=now)
        .returning(*deployments.c)
    )
    row = tx.execute(taken).one_or_none()
    return None if row is None else _deployment(row)


def pools_with_work(tx: Transaction) -> set[PoolId]:
    """Give the pools that have a queued deployment whose environment is free: one behind another wakes nobody."""
    waiting = (deployments.c.status == "QUEUED") & ~_environment_is_busy()
    query = select(deployments.c.pool_id).where(waiting).distinct()
    return {PoolId(pool) for pool in tx.execute(query).scalars()}


def move(tx: Transaction, deployment_id: DeploymentId, before: DeploymentStatus, values: Mapping[str, Any]) -> bool:
    """Change a deployment that is still in the state its caller saw; whether it was."""
    still = (deployments.c.id == deployment_id) & (deployments.c.status == before.value)
    return tx.execute(update(deployments).where(still).values(**values)).rowcount == 1


def _environment_is_busy() -> ColumnElement[bool]:
    other = deployments.alias("occupying")
    # Written out, and not bound: only then does SQLite see that the partial index is enough.
    occupying: BindParameter[Any] = bindparam("occupying", OCCUPYING, expanding=True, literal_execute=True)
    same = other.c.environment_id == deployments.c.environment_id
    return select(other.c.id).where(same, other.c.status.in_(occupying)).exists()


def _of(environment_id: EnvironmentId) -> Select[Any]:
    mine = deployments.c.environment_id == environment_id
    return select(deployments).where(mine).order_by(deployments.c.id.desc())


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        environment_id=row.environment_id,
        template_id=row.template_id,
        pool_id=row.pool_id,
        type=DeploymentType(row.type),
        status=DeploymentStatus(row.status),
        started_by=row.started_by,
        comment=row.comment,
        revision=row.revision,
        timeout_seconds=row.timeout_seconds,
        inputs_sealed=row.inputs_sealed,
        error=row.error,
        failed_step=row.failed_step,
        refusal=row.refusal,
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
