"""Every query on environments."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select, update

from runpass.ids import EnvironmentId, OrganizationId, ProjectId
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.tenancy import environments
from runpass.server.tenancy.model import Environment, EnvironmentStatus


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
    tx: Transaction,
    organization_id: OrganizationId,
    project_ids: Collection[ProjectId] | None,
    *,
    name: str | None = None,
    limit: int,
    offset: int = 0,
) -> list[Environment]:
    """Give a page of the environments of these projects (None: of all), oldest first."""
    query = _mine(organization_id).order_by(environments.c.id)
    if project_ids is not None:
        query = query.where(environments.c.project_id.in_(project_ids))
    if name is not None:
        query = query.where(environments.c.name == name)
    query = query.limit(limit).offset(offset)
    return [_environment(row) for row in tx.execute(query)]


def update_environment(
    tx: Transaction, environment_id: EnvironmentId, values: Mapping[str, Any], now: datetime
) -> None:
    """Change columns of an environment."""
    tx.execute(update(environments).where(environments.c.id == environment_id).values(**values, updated_at=now))


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
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
