"""Every query on deployments themselves."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Row, Select, bindparam, or_, select, update

from runpass.ids import DeploymentId, EnvironmentId, OrganizationId, PoolId, ProjectId
from runpass.protocol.reports import Leak
from runpass.protocol.run_lease import Phase
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.deployments import deployments
from runpass.server.db.schema.tenancy import environments
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType

OCCUPYING = ("IN_PROGRESS", "WAITING_FOR_USER", "APPROVED", "ABORTING")
WAITING = ("QUEUED", "APPROVED")

_SEALED = frozenset({"inputs_sealed", "outputs_sealed"})
_has_outputs = deployments.c.outputs_sealed.is_not(None).label("has_outputs")
_COLUMNS = (*(column for column in deployments.c if column.name not in _SEALED), _has_outputs)
"""All but what is sealed and may be large."""

# What a mint reads is put together once: that takes as long as asking for it.
_ONE: Final = select(*_COLUMNS).where(
    deployments.c.id == bindparam("deployment_id"), deployments.c.organization_id == bindparam("organization_id")
)
_INPUTS: Final = select(deployments.c.inputs_sealed).where(deployments.c.id == bindparam("deployment_id"))


def insert_deployment(tx: Transaction, deployment: Deployment, inputs_sealed: bytes) -> None:
    """Store a new deployment with its frozen inputs, encrypted."""
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
            phase=deployment.phase.value,
            requires_approval=deployment.requires_approval,
            trigger_name=deployment.trigger,
            started_by=deployment.started_by,
            comment=deployment.comment,
            revision=deployment.revision,
            repository=deployment.repository,
            timeout_seconds=deployment.timeout_seconds,
            inputs_sealed=inputs_sealed,
            queued_at=deployment.queued_at,
        )
    )


def get_deployment(tx: Transaction, organization_id: OrganizationId, deployment_id: DeploymentId) -> Deployment | None:
    """Give a deployment of this organization."""
    mine = {"deployment_id": deployment_id, "organization_id": organization_id}
    row = tx.execute(_ONE, mine).one_or_none()
    return None if row is None else _deployment(row)


def deployments_with(tx: Transaction, ids: Collection[DeploymentId]) -> list[Deployment]:
    """Give the deployments that have these ids, the newest first."""
    query = select(*_COLUMNS).where(deployments.c.id.in_(ids)).order_by(deployments.c.id.desc())
    return [_deployment(row) for row in tx.execute(query)]


def sealed_inputs(tx: Transaction, deployment_id: DeploymentId) -> bytes:
    """Give what a deployment is given, encrypted."""
    return bytes(tx.execute(_INPUTS, {"deployment_id": deployment_id}).scalar_one())


def sealed_outputs(tx: Transaction, deployment_id: DeploymentId) -> bytes | None:
    """Give what a deployment gave back, encrypted."""
    query = select(deployments.c.outputs_sealed).where(deployments.c.id == deployment_id)
    return tx.execute(query).scalar_one_or_none()


def newest_outputs(tx: Transaction, environment_id: EnvironmentId) -> tuple[DeploymentId, bytes] | None:
    """Give the newest outputs of an environment, encrypted, and the deployment that gave them."""
    given = (deployments.c.environment_id == environment_id) & deployments.c.outputs_sealed.is_not(None)
    query = select(deployments.c.id, deployments.c.outputs_sealed).where(given)
    row = tx.execute(query.order_by(deployments.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else (DeploymentId(row.id), bytes(row.outputs_sealed))


def list_deployments(
    tx: Transaction, environment_id: EnvironmentId, *, limit: int, offset: int = 0
) -> list[Deployment]:
    """Give an environment's deployments, newest first."""
    return [_deployment(row) for row in tx.execute(page_query(environment_id, limit=limit, offset=offset))]


def page_query(environment_id: EnvironmentId, *, limit: int, offset: int = 0) -> Select[Any]:
    """Give the query for some of an environment's deployments, newest first.

    The condition is a range of one, and the order names what is the same in all rows. With `=`, PostgreSQL leaves that
    out of the order, and reads by id from the newest deployment of all for an environment that has a good part of them.
    """
    mine = deployments.c.environment_id.between(environment_id, environment_id)
    newest_first = deployments.c.environment_id.desc(), deployments.c.id.desc()
    return select(*_COLUMNS).where(mine).order_by(*newest_first).limit(limit).offset(offset)


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
    return select(*_COLUMNS).select_from(joined).where(environments.c.id.in_(environment_ids))


def last_outcome(tx: Transaction, environment_id: EnvironmentId) -> tuple[DeploymentStatus, DeploymentType] | None:
    """Give how the last deploy or destroy ended that may have changed the environment; None if none ever did."""
    columns = deployments.c.status, deployments.c.type
    row = tx.execute(_last_ended(environment_id).with_only_columns(*columns)).one_or_none()
    return None if row is None else (DeploymentStatus(row.status), DeploymentType(row.type))


def last_deploy(tx: Transaction, environment_id: EnvironmentId) -> Deployment | None:
    """Give the newest deploy that may have changed the environment, however it ended: what a destroy is to undo."""
    row = tx.execute(_last_deploy(environment_id)).one_or_none()
    return None if row is None else _deployment(row)


def ids_that_decide(tx: Transaction, environment_id: EnvironmentId) -> set[DeploymentId]:
    """Give the deployments that `last_outcome` and `last_deploy` speak of."""
    queries = _last_ended(environment_id), _last_deploy(environment_id)
    found = (tx.execute(query.with_only_columns(deployments.c.id)).scalar_one_or_none() for query in queries)
    return {DeploymentId(item) for item in found if item is not None}


def list_in_states(
    tx: Transaction, environment_id: EnvironmentId, states: Collection[DeploymentStatus]
) -> list[Deployment]:
    """Give an environment's deployments that are in one of these states, oldest first."""
    mine = (deployments.c.environment_id == environment_id) & deployments.c.status.in_([item.value for item in states])
    return [_deployment(row) for row in tx.execute(select(*_COLUMNS).where(mine).order_by(deployments.c.id))]


def hold_in_states(tx: Transaction, project_id: ProjectId, states: Collection[DeploymentStatus]) -> list[Deployment]:
    """Give a project's deployments in one of these states, and keep them so; those being taken now are left out."""
    there = (deployments.c.project_id == project_id) & deployments.c.status.in_([item.value for item in states])
    query = select(*_COLUMNS).where(there).order_by(deployments.c.id).with_for_update(skip_locked=True)
    return [_deployment(row) for row in tx.execute(query)]


def take_next(tx: Transaction, pool_id: PoolId, project_id: ProjectId | None, now: datetime) -> Deployment | None:
    """Make the oldest deployment of a pool that a runner can take `IN_PROGRESS`, and give it.

    That is a queued one whose environment is free, or an approved one, which occupies its environment already.
    Two takers of the same environment are told apart by the partial unique index: the loser gets a `Conflict`.
    """
    waiting = select(deployments.c.id, deployments.c.started_at).where(
        _can_be_taken(), deployments.c.pool_id == pool_id
    )
    if project_id is not None:
        waiting = waiting.where(deployments.c.project_id == project_id)
    oldest = waiting.order_by(deployments.c.id).limit(1).with_for_update(skip_locked=True)
    chosen = tx.execute(oldest).one_or_none()
    if chosen is None:
        return None
    taken = (
        update(deployments)
        .where(deployments.c.id == chosen.id, deployments.c.status.in_(WAITING))
        .values(status="IN_PROGRESS", started_at=chosen.started_at or now)
        .returning(*_COLUMNS)
    )
    row = tx.execute(taken).one_or_none()
    return None if row is None else _deployment(row)


def pools_with_work(tx: Transaction) -> set[PoolId]:
    """Give the pools that have a deployment to be taken: one behind another of its environment wakes nobody."""
    query = select(deployments.c.pool_id).where(_can_be_taken()).distinct()
    return {PoolId(pool) for pool in tx.execute(query).scalars()}


def move(tx: Transaction, deployment_id: DeploymentId, before: DeploymentStatus, values: Mapping[str, Any]) -> bool:
    """Change a deployment that is still in the state its caller saw; whether it was."""
    still = (deployments.c.id == deployment_id) & (deployments.c.status == before.value)
    return tx.execute(update(deployments).where(still).values(**values)).rowcount == 1


def save_leaks(tx: Transaction, deployment_id: DeploymentId, leaks: Sequence[Leak]) -> None:
    """Replace what is known of the secrets that turned up in a deployment's output."""
    this = deployments.c.id == deployment_id
    tx.execute(update(deployments).where(this).values(leaks=[leak.model_dump() for leak in leaks]))


def _can_be_taken() -> ColumnElement[bool]:
    waiting = deployments.c.status.in_(_written_out("waiting", WAITING))
    return waiting & or_(deployments.c.status == "APPROVED", ~_environment_is_busy())


def _environment_is_busy() -> ColumnElement[bool]:
    other = deployments.alias("occupying")
    occupying = _written_out("occupying", OCCUPYING)
    same = other.c.environment_id == deployments.c.environment_id
    return select(other.c.id).where(same, other.c.status.in_(occupying)).exists()


def _written_out(name: str, states: Sequence[str]) -> BindParameter[Any]:
    """Give states as text of the statement, and not bound: only then does SQLite see that a partial index is enough."""
    return bindparam(name, states, expanding=True, literal_execute=True)


def _changing(environment_id: EnvironmentId, *kinds: DeploymentType) -> Select[Any]:
    """Give the query for deployments that came so far that they may have changed something."""
    mine = (deployments.c.environment_id == environment_id) & deployments.c.type.in_([kind.value for kind in kinds])
    began = deployments.c.started_at.is_not(None) & (deployments.c.phase != Phase.PLAN.value)
    return select(*_COLUMNS).where(mine, began, deployments.c.status.not_in(("CANCELLED", "APPROVED")))


def _last_ended(environment_id: EnvironmentId) -> Select[Any]:
    changing = _changing(environment_id, DeploymentType.DEPLOY, DeploymentType.DESTROY)
    newest = deployments.c.finished_at.desc(), deployments.c.id.desc()  # several may end at one moment
    return changing.where(deployments.c.finished_at.is_not(None)).order_by(*newest).limit(1)


def _last_deploy(environment_id: EnvironmentId) -> Select[Any]:
    return _changing(environment_id, DeploymentType.DEPLOY).order_by(deployments.c.id.desc()).limit(1)


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
        phase=Phase(row.phase),
        requires_approval=row.requires_approval,
        trigger=row.trigger_name,
        started_by=row.started_by,
        comment=row.comment,
        revision=row.revision,
        repository=row.repository,
        timeout_seconds=row.timeout_seconds,
        error=row.error,
        failed_step=row.failed_step,
        refusal=row.refusal,
        has_outputs=row.has_outputs,
        reviewed_by=row.reviewed_by,
        log_bytes=row.log_bytes,
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        reviewed_at=row.reviewed_at,
        leaks=tuple(Leak(**leak) for leak in row.leaks or ()),
    )
