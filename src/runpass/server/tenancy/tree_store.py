"""Queries on the tree of projects: a project with all below it is one range of the index on `hierarchy`."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, case, delete, func, literal, select, update

from runpass.errors import Conflict, NotFound
from runpass.ids import OrganizationId, ProjectId
from runpass.server.db.changing import change_row
from runpass.server.db.engine import Transaction
from runpass.server.db.locking import lock_row
from runpass.server.db.schema.credentials import credential_assignments, credentials
from runpass.server.db.schema.tenancy import environments, organizations, projects
from runpass.server.db.schema.variables import variables
from runpass.server.tenancy.model import Project

MAX_DEPTH = 32
"""Levels of sub-projects."""

_BEHIND = "}"
"""The character behind the separator `|`: whatever stands at or below a path sorts between the path and this."""
_ID_LENGTH = 36
_TICK = timedelta(microseconds=1)


def at_or_below(hierarchy: str) -> ColumnElement[bool]:
    """Give the condition for a project itself and all below it."""
    return and_(projects.c.hierarchy >= hierarchy, projects.c.hierarchy < hierarchy + _BEHIND)


def lock_tree(tx: Transaction, organization_id: OrganizationId) -> None:
    """Let nobody else change the shape of an organization's tree until the end of the transaction.

    To be called before the tree is looked at: two moves that each look first could make a circle together.
    """
    lock_row(tx, organizations, organization_id)


def hold_subtree(tx: Transaction, project: Project) -> None:
    """Keep everybody else from changing or filling a project and all below it until the end of the transaction."""
    # In one order, as in `hold_open`: transactions that take the same rows wait for each other, and never in a circle.
    query = select(projects.c.id).where(_subtree(project)).order_by(projects.c.id)
    tx.execute(query.with_for_update(key_share=True)).all()


def hold_open(tx: Transaction, *held: Project) -> None:
    """See that something may be made, deployed or moved in these projects, and that it stays so until the end.

    To be called in the transaction that does it. Several projects at once are held in one call. Raises `NotFound` for a
    project that was deleted meanwhile; `Conflict` where it, or one above it, is archived, or was moved meanwhile.
    """
    wanted = {item for project in held for item in project.path}
    columns = (projects.c.id, projects.c.hierarchy, projects.c.is_archived, projects.c.deleted_at)
    query = select(*columns).where(projects.c.id.in_(wanted)).order_by(projects.c.id)
    found = {row.id: row for row in tx.execute(query.with_for_update(read=True))}
    for project in held:
        if any(found[item].deleted_at is not None for item in project.path):
            raise NotFound("there is no such project")
        if found[project.id].hierarchy != project.hierarchy:
            raise Conflict("the project was moved at the same moment", hint="read it again and repeat")
        if any(found[item].is_archived for item in project.path):
            raise Conflict("the project, or one above it, is archived", hint="unarchive it first")


def hierarchies(tx: Transaction, organization_id: OrganizationId, project_ids: Collection[ProjectId]) -> list[str]:
    """Give where these projects of an organization stand; those that are not there or deleted are left out."""
    mine = (projects.c.organization_id == organization_id) & projects.c.id.in_(project_ids)
    query = select(projects.c.hierarchy).where(mine, projects.c.deleted_at.is_(None)).order_by(projects.c.hierarchy)
    return list(tx.execute(query).scalars())


def has_sub_projects(tx: Transaction, project_id: ProjectId) -> bool:
    """Whether a project has a sub-project that was not deleted."""
    below = (projects.c.parent_project_id == project_id) & projects.c.deleted_at.is_(None)
    return tx.execute(select(projects.c.id).where(below).limit(1)).first() is not None


def has_own_credentials(tx: Transaction, project_id: ProjectId) -> bool:
    """Whether credentials belong to a project."""
    query = select(credentials.c.id).where(credentials.c.project_id == project_id).limit(1)
    return tx.execute(query).first() is not None


def uses_credentials_of(tx: Transaction, project: Project, owners: Collection[ProjectId]) -> bool:
    """Whether a project or one below it has a credential assigned that belongs to one of these projects."""
    joined = credential_assignments.join(credentials, credentials.c.id == credential_assignments.c.credential_id)
    joined = joined.join(projects, projects.c.id == credential_assignments.c.project_id)
    query = select(credential_assignments.c.id).select_from(joined)
    query = query.where(credentials.c.project_id.in_(owners), _subtree(project)).limit(1)
    return tx.execute(query).first() is not None


def levels_below(tx: Transaction, project: Project) -> int:
    """Give how many levels stand below a project. Deleted ones count: they keep their places."""
    query = select(func.max(func.length(projects.c.hierarchy))).where(_subtree(project))
    longest: int = tx.execute(query).scalar_one()
    return (longest + 1) // (_ID_LENGTH + 1) - len(project.path)


def move_subtree(tx: Transaction, project: Project, parent: Project | None, now: datetime) -> None:
    """Put a project and all below it under another parent, or at the root."""
    changed = tx.execute(select(func.max(projects.c.updated_at)).where(_subtree(project))).scalar_one()
    above = f"{parent.hierarchy}|" if parent else ""
    rest = func.substr(projects.c.hierarchy, len(project.hierarchy) - _ID_LENGTH + 1, type_=String)
    parent_id: UUID | None = parent.id if parent else None
    tx.execute(
        update(projects)
        .where(_subtree(project))
        .values(
            hierarchy=literal(above, String) + rest,
            parent_project_id=case(
                (projects.c.id == project.id, literal(parent_id, projects.c.parent_project_id.type)),
                else_=projects.c.parent_project_id,
            ),
            updated_at=max(now, changed + _TICK),
        )
    )


def hold_environments(tx: Transaction, project_id: ProjectId) -> None:
    """Keep everybody else from changing a project's environments until the end. The project must be held."""
    live = (environments.c.project_id == project_id) & environments.c.is_archived.is_(False)
    query = select(environments.c.id).where(live).order_by(environments.c.id)
    tx.execute(query.with_for_update(key_share=True)).all()


def delete_project(tx: Transaction, project: Project, now: datetime) -> None:
    """Mark a project as deleted, archive its environments, and take away the variables that stand at it.

    Raises `Conflict` if the project has changed since it was read.
    """
    change_row(tx, projects, project.id, {"deleted_at": now}, seen=project.updated_at, now=now)
    there = (variables.c.scope == "PROJECT") & (variables.c.scope_id == project.id)
    tx.execute(delete(variables).where(there))
    live = (environments.c.project_id == project.id) & environments.c.is_archived.is_(False)
    archived = {"is_archived": True, "lifespan_end_at": None, "updated_at": now}
    tx.execute(update(environments).where(live).values(**archived))


def _subtree(project: Project) -> ColumnElement[bool]:
    return and_(projects.c.organization_id == project.organization_id, at_or_below(project.hierarchy))
