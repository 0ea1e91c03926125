"""Every query on environments."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, update

from runpass.ids import EnvironmentId, OrganizationId, ProjectId, TemplateId
from runpass.server.db.changing import change_row
from runpass.server.db.engine import Transaction
from runpass.server.db.locking import lock_row
from runpass.server.db.schema.tenancy import environments, projects
from runpass.server.tenancy.model import Environment, EnvironmentStatus

_TICK = timedelta(microseconds=1)
_NOT_DECIDED = frozenset({"status"})
"""Columns that follow from deployments: a change of them is no change of what callers decided (and of the `ETag`)."""

Due = tuple[datetime, EnvironmentId]
"""Where one stands in the order of lifespans that end."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which environments a list is about."""

    project_id: ProjectId | None = None
    visible: ColumnElement[bool] | None = None
    """Where no project is named: the condition on `projects` for those that may be seen; None for all of them."""
    name: str | None = None
    is_active: bool | None = None
    holds: str = ""
    """A part of the name, whatever its case."""
    status: EnvironmentStatus | None = None


def insert_environment(tx: Transaction, environment: Environment) -> None:
    """Store a new environment."""
    tx.execute(
        environments.insert().values(
            id=environment.id,
            organization_id=environment.organization_id,
            project_id=environment.project_id,
            template_id=environment.template_id,
            name=environment.name,
            workspace_name=environment.workspace_name,
            status=environment.status.value,
            is_archived=environment.is_archived,
            settings=dict(environment.settings),
            lifespan_end_at=environment.lifespan_end_at,
            created_by=environment.created_by,
            created_at=environment.created_at,
            updated_at=environment.updated_at,
        )
    )


def get_environment(
    tx: Transaction, organization_id: OrganizationId, environment_id: EnvironmentId
) -> Environment | None:
    """Give an environment of this organization."""
    row = tx.execute(_mine(organization_id).where(environments.c.id == environment_id)).one_or_none()
    return None if row is None else _environment(row)


def list_environments(
    tx: Transaction, organization_id: OrganizationId, wanted: Wanted, *, limit: int, offset: int = 0
) -> list[Environment]:
    """Give a page of environments, oldest first."""
    query = _mine(organization_id)
    if wanted.project_id is not None:
        query = query.where(environments.c.project_id == wanted.project_id)
    if wanted.visible is not None:
        # SECURITY: the projects are this organization's, and so are their environments. To say it of these too would
        # let SQLite walk through all environments of the organization for somebody who may see one project of it.
        seen = select(projects.c.id).where(projects.c.organization_id == organization_id, wanted.visible)
        query = select(environments).where(environments.c.project_id.in_(seen))
    query = query.order_by(environments.c.id)
    if wanted.name is not None:
        query = query.where(environments.c.name == wanted.name)
    if wanted.is_active is not None:
        query = query.where(environments.c.is_archived.is_(not wanted.is_active))
    if wanted.holds:
        query = query.where(environments.c.name.icontains(wanted.holds, autoescape=True))
    if wanted.status is not None:
        query = query.where(environments.c.status == wanted.status.value)
    query = query.limit(limit).offset(offset)
    return [_environment(row) for row in tx.execute(query)]


def count_of_template(tx: Transaction, organization_id: OrganizationId, template_id: TemplateId) -> int:
    """Count the environments that were made from a template, or were given it since, archived ones included."""
    # SECURITY: the template is this organization's, and so are its environments; both are said all the same.
    mine = (environments.c.template_id == template_id) & (environments.c.organization_id == organization_id)
    return int(tx.execute(select(func.count()).select_from(environments).where(mine)).scalar_one())


def list_due(tx: Transaction, now: datetime, *, behind: Due | None, limit: int) -> list[Environment]:
    """Give environments whose lifespan has ended, the longest ended first, from behind one of them on."""
    query = select(environments).where(environments.c.lifespan_end_at <= now)
    if behind is not None:
        ended, environment_id = behind
        later = and_(environments.c.lifespan_end_at == ended, environments.c.id > environment_id)
        query = query.where(environments.c.lifespan_end_at >= ended)
        query = query.where(or_(environments.c.lifespan_end_at > ended, later))
    query = query.order_by(environments.c.lifespan_end_at, environments.c.id).limit(limit)
    return [_environment(row) for row in tx.execute(query)]


def lock_environment(tx: Transaction, environment_id: EnvironmentId) -> None:
    """Let nobody else decide anything about an environment until the end of the transaction."""
    lock_row(tx, environments, environment_id)


def update_environment(
    tx: Transaction, environment_id: EnvironmentId, values: Mapping[str, Any], now: datetime
) -> None:
    """Change columns of an environment, whatever they are by now.

    `updated_at` is made later only when more changes than what its deployments make of it.
    """
    mine = environments.c.id == environment_id
    if set(values) <= _NOT_DECIDED:
        tx.execute(update(environments).where(mine).values(**values))
        return
    seen = tx.execute(select(environments.c.updated_at).where(mine).with_for_update(key_share=True)).scalar_one()
    tx.execute(update(environments).where(mine).values(**values, updated_at=max(now, seen + _TICK)))


def change_environment(tx: Transaction, environment: Environment, values: Mapping[str, Any], now: datetime) -> None:
    """Change columns of an environment that was read before. Raises `Conflict` if somebody else was faster."""
    change_row(tx, environments, environment.id, values, seen=environment.updated_at, now=now)


def _mine(organization_id: OrganizationId) -> Select[Any]:
    return select(environments).where(environments.c.organization_id == organization_id)


def _environment(row: Row[Any]) -> Environment:
    return Environment(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        template_id=row.template_id,
        name=row.name,
        workspace_name=row.workspace_name,
        status=EnvironmentStatus(row.status),
        is_archived=row.is_archived,
        settings=row.settings,
        lifespan_end_at=row.lifespan_end_at,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
