"""Every query on organizations and projects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update

from runpass.ids import OrganizationId, ProjectId
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.tenancy import organizations, projects
from runpass.server.db.schema.variables import variables
from runpass.server.tenancy.model import Organization, Project

MAX_DEPTH = 32
"""Levels of sub-projects; also what keeps a walk up the tree finite."""


def insert_organization(tx: Transaction, organization: Organization) -> None:
    """Store a new organization. A taken name is a `Conflict`."""
    tx.execute(
        organizations.insert().values(
            id=organization.id,
            name=organization.name,
            description=organization.description,
            oidc_sub=organization.oidc_sub,
            enable_oidc=organization.enable_oidc,
            allow_clear_text_vault=organization.allow_clear_text_vault,
            policies=dict(organization.policies),
            created_by=organization.created_by,
            created_at=organization.created_at,
            updated_at=organization.updated_at,
        )
    )


def get_organization(tx: Transaction, organization_id: OrganizationId) -> Organization | None:
    """Give an organization by id."""
    row = tx.execute(select(organizations).where(organizations.c.id == organization_id)).one_or_none()
    return None if row is None else _organization(row)


def find_organization(tx: Transaction, name: str) -> Organization | None:
    """Give an organization by its name."""
    row = tx.execute(select(organizations).where(organizations.c.name == name)).one_or_none()
    return None if row is None else _organization(row)


def update_organization(
    tx: Transaction, organization_id: OrganizationId, values: Mapping[str, Any], now: datetime
) -> None:
    """Change columns of an organization."""
    mine = organizations.c.id == organization_id
    tx.execute(update(organizations).where(mine).values(**values, updated_at=now))


def insert_project(tx: Transaction, project: Project) -> None:
    """Store a new project."""
    tx.execute(
        projects.insert().values(
            id=project.id,
            organization_id=project.organization_id,
            parent_project_id=project.parent_project_id,
            name=project.name,
            description=project.description,
            tags=list(project.tags),
            is_archived=project.is_archived,
            created_by=project.created_by,
            created_at=project.created_at,
            updated_at=project.updated_at,
        )
    )


def get_project(tx: Transaction, organization_id: OrganizationId, project_id: ProjectId) -> Project | None:
    """Give a project of this organization with its path; None when it is not there or somebody else's."""
    row = tx.execute(_mine(organization_id).where(projects.c.id == project_id)).one_or_none()
    if row is None:
        return None
    return _project(row, _path(tx, row))


def list_projects(tx: Transaction, organization_id: OrganizationId) -> list[Project]:
    """Give an organization's projects with their paths, oldest first."""
    rows = tx.execute(_mine(organization_id).order_by(projects.c.id)).all()
    parents = {row.id: row.parent_project_id for row in rows}
    return [_project(row, _walk(parents, row.id)) for row in rows]


def update_project(tx: Transaction, project_id: ProjectId, values: Mapping[str, Any], now: datetime) -> None:
    """Change columns of a project."""
    tx.execute(update(projects).where(projects.c.id == project_id).values(**values, updated_at=now))


def delete_project(tx: Transaction, project_id: ProjectId) -> None:
    """Delete a project and the variables that stand at it. Anything else that points at it makes this a `Conflict`."""
    there = (variables.c.scope == "PROJECT") & (variables.c.scope_id == project_id)
    tx.execute(delete(variables).where(there))
    tx.execute(delete(projects).where(projects.c.id == project_id))


def _mine(organization_id: OrganizationId) -> Any:
    return select(projects).where(projects.c.organization_id == organization_id)


def _path(tx: Transaction, row: Row[Any]) -> tuple[ProjectId, ...]:
    path = [ProjectId(row.id)]
    parent = row.parent_project_id
    while parent is not None and len(path) < MAX_DEPTH:
        path.insert(0, ProjectId(parent))
        query = select(projects.c.parent_project_id).where(projects.c.id == parent)
        parent = tx.execute(query).scalar_one()
    return tuple(path)


def _walk(parents: Mapping[Any, Any], start: Any) -> tuple[ProjectId, ...]:
    path = [start]
    while (parent := parents.get(path[0])) is not None and len(path) < MAX_DEPTH:
        path.insert(0, parent)
    return tuple(ProjectId(item) for item in path)


def _organization(row: Row[Any]) -> Organization:
    return Organization(
        id=row.id,
        name=row.name,
        description=row.description,
        oidc_sub=row.oidc_sub,
        enable_oidc=row.enable_oidc,
        allow_clear_text_vault=row.allow_clear_text_vault,
        policies=row.policies,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _project(row: Row[Any], path: tuple[ProjectId, ...]) -> Project:
    return Project(
        id=row.id,
        organization_id=row.organization_id,
        parent_project_id=row.parent_project_id,
        name=row.name,
        description=row.description,
        tags=tuple(row.tags),
        is_archived=row.is_archived,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        path=path,
    )
