"""Every query on organizations and projects."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, bindparam, select

from runpass.ids import OrganizationId, ProjectId
from runpass.server.db.changing import change_row
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.tenancy import organizations, projects
from runpass.server.tenancy.model import IdentityIssuer, Organization, Project, path_of

_EVERYTHING = 2**31 - 1
"""SQLite knows no OFFSET without a LIMIT."""

# What a mint reads is put together once: that takes as long as asking for it.
_ORGANIZATION: Final = select(organizations).where(organizations.c.id == bindparam("organization_id"))
_DELETED_OR_NOT: Final = select(projects).where(
    projects.c.organization_id == bindparam("organization_id"), projects.c.id == bindparam("project_id")
)
_PROJECT: Final = _DELETED_OR_NOT.where(projects.c.deleted_at.is_(None))


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
    row = tx.execute(_ORGANIZATION, {"organization_id": organization_id}).one_or_none()
    return None if row is None else _organization(row)


def with_own_issuer(tx: Transaction, ids: Collection[OrganizationId]) -> set[OrganizationId]:
    """Give those of some organizations whose tokens are their own issuer's."""
    query = select(organizations).where(organizations.c.id.in_(ids))
    return {found.id for row in tx.execute(query) if (found := _organization(row)).issuer is not None}


def with_issuer_wanted(tx: Transaction, ids: Collection[UUID]) -> set[UUID]:
    """Give those of some organizations that chose an issuer of their own, or have it prepared."""
    query = select(organizations).where(organizations.c.id.in_(ids))
    found = (_organization(row) for row in tx.execute(query))
    return {item.id for item in found if item.identity_issuer is not IdentityIssuer.SHARED}


def has_organizations(tx: Transaction) -> bool:
    """Whether there is any organization."""
    first = select(organizations.c.id).where(organizations.c.id > UUID(int=0)).order_by(organizations.c.id).limit(1)
    return tx.execute(first).one_or_none() is not None


def find_organization(tx: Transaction, name: str) -> Organization | None:
    """Give an organization by its name."""
    row = tx.execute(select(organizations).where(organizations.c.name == name)).one_or_none()
    return None if row is None else _organization(row)


def update_organization(
    tx: Transaction, organization: Organization, values: Mapping[str, Any], now: datetime
) -> Organization:
    """Change columns of an organization and give it as it is now.

    Raises `Conflict` if it has changed since it was read.
    """
    change_row(tx, organizations, organization.id, values, seen=organization.updated_at, now=now)
    changed = get_organization(tx, organization.id)
    assert changed is not None  # noqa: S101 -- it has just been changed, and no row is ever taken away
    return changed


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
            hierarchy=project.hierarchy,
            policies=dict(project.policies),
            created_by=project.created_by,
            created_at=project.created_at,
            updated_at=project.updated_at,
        )
    )


def get_project(
    tx: Transaction, organization_id: OrganizationId, project_id: ProjectId, *, deleted: bool = False
) -> Project | None:
    """Give a project of this organization; None when it is not there or somebody else's.

    `deleted`: also one that was deleted, for what was once in it.
    """
    mine = {"organization_id": organization_id, "project_id": project_id}
    row = tx.execute(_DELETED_OR_NOT if deleted else _PROJECT, mine).one_or_none()
    return None if row is None else _project(row)


def list_projects(
    tx: Transaction,
    organization_id: OrganizationId,
    where: ColumnElement[bool] | None = None,
    *,
    limit: int | None = None,
    offset: int = 0,
    as_tree: bool = False,
) -> list[Project]:
    """Give an organization's projects, or a page of those that fit `where` (see `visibility`).

    Oldest first; `as_tree`: each one before those below it.
    """
    query = _mine(organization_id).order_by(projects.c.hierarchy if as_tree else projects.c.id)
    if where is not None:
        query = query.where(where)
    if limit is not None or offset:
        query = query.limit(_EVERYTHING if limit is None else limit).offset(offset)
    return [_project(row) for row in tx.execute(query)]


def named_like(text: str) -> ColumnElement[bool]:
    """Give the condition for projects whose name has this in it, in whatever case."""
    return projects.c.name.icontains(text, autoescape=True)


def directly_below(project: Project) -> ColumnElement[bool]:
    """Give the condition for the sub-projects of a project, without theirs."""
    return projects.c.parent_project_id == project.id


def is_project(project_id: ProjectId) -> ColumnElement[bool]:
    """Give the condition for one project."""
    return projects.c.id == project_id


def list_by_id(
    tx: Transaction, organization_id: OrganizationId, ids: Collection[ProjectId]
) -> dict[ProjectId, Project]:
    """Give those of an organization's projects that have these ids, by id."""
    query = _mine(organization_id).where(projects.c.id.in_(ids))
    found = [_project(row) for row in tx.execute(query)]
    return {project.id: project for project in found}


def projects_of_path(tx: Transaction, project: Project) -> tuple[Project, ...]:
    """Give the projects from the root down to this one, itself included."""
    query = _mine(project.organization_id, deleted=True).where(projects.c.id.in_(project.path))
    found = {row.id: _project(row) for row in tx.execute(query)}
    return tuple(found[item] for item in project.path)


def change_project(tx: Transaction, project: Project, values: Mapping[str, Any], now: datetime) -> Project:
    """Change columns of a project and give it as it is now. Raises `Conflict` if it has changed since it was read."""
    change_row(tx, projects, project.id, values, seen=project.updated_at, now=now)
    changed = get_project(tx, project.organization_id, project.id, deleted=True)
    assert changed is not None  # noqa: S101 -- it has just been changed, and no row is ever taken away
    return changed


def _mine(organization_id: OrganizationId, *, deleted: bool = False) -> Select[Any]:
    query = select(projects).where(projects.c.organization_id == organization_id)
    return query if deleted else query.where(projects.c.deleted_at.is_(None))


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


def _project(row: Row[Any]) -> Project:
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
        path=path_of(row.hierarchy),
        policies=row.policies,
        deleted_at=row.deleted_at,
    )
