"""Making and changing projects: the rules of the JSON routes and of the console."""

from datetime import datetime
from typing import Any
from uuid import UUID

from runpass.errors import NotFound
from runpass.ids import OrganizationId, ProjectId, new_id
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.http.preconditions import check_unchanged
from runpass.server.tenancy import moving, store
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.project_requests import ChangeProject, CreateProject
from runpass.server.tenancy.tree_store import hold_open, lock_tree


def require_own(actor: Actor, organization_id: UUID) -> None:
    """Raise `NotFound` for every organization but the actor's."""
    if OrganizationId(organization_id) != actor.organization_id:
        raise NotFound("there is no such organization")


def create_project(tx: Transaction, actor: Actor, wanted: CreateProject, now: datetime) -> Project:
    """Make a project, at the root or below another one; give it.

    Raises `NotFound` or `Forbidden` where the actor may make none, `InvalidInput` where the tree would be too deep,
    `Conflict` below an archived one.
    """
    require_own(actor, wanted.organization_id)
    if wanted.parent_project_id is not None:
        lock_tree(tx, actor.organization_id)
    parent = moving.parent_for(tx, actor, wanted.parent_project_id)
    if parent is not None:
        hold_open(tx, parent)
    moving.check_depth("parentProjectId", parent, 1)
    project = _new(wanted, actor, parent, now)
    store.insert_project(tx, project)
    record(tx, _event(project, actor, "project.created", now))
    return project


def change_project(
    tx: Transaction, actor: Actor, project_id: UUID, wanted: ChangeProject, *, if_match: str | None, now: datetime
) -> Project:
    """Change a project's name, description and tags; archive it, or take that back. Give it as it is then.

    Raises `PreconditionFailed` if it is not what `if_match` names, `Conflict` if somebody else was faster.
    """
    project = project_for(tx, actor, project_id, Permission.EDIT_PROJECT_SETTINGS)
    check_unchanged(if_match, project.updated_at)
    values: dict[str, Any] = {"name": wanted.name, "description": wanted.description or ""}
    values |= {"tags": list(wanted.tags or ())}
    if wanted.is_archived is not None:
        values["is_archived"] = wanted.is_archived
    changed = store.change_project(tx, project, values, now)
    record(tx, _event(project, actor, "project.changed", now))
    if changed.is_archived != project.is_archived:
        action = "project.archived" if changed.is_archived else "project.unarchived"
        record(tx, _event(project, actor, action, now))
    return changed


def move_project(
    tx: Transaction, actor: Actor, project_id: UUID, target_id: UUID | None, *, if_match: str | None, now: datetime
) -> Project:
    """Put a project and all below it elsewhere in the tree. Raises as `change_project` and `moving.move`."""
    lock_tree(tx, actor.organization_id)
    project = project_for(tx, actor, project_id, Permission.EDIT_PROJECT_SETTINGS)
    check_unchanged(if_match, project.updated_at)
    return moving.move(tx, actor, project, target_id, now)


def _new(wanted: CreateProject, actor: Actor, parent: Project | None, now: datetime) -> Project:
    project_id = ProjectId(new_id())
    return Project(
        id=project_id,
        organization_id=actor.organization_id,
        parent_project_id=parent.id if parent else None,
        name=wanted.name,
        description=wanted.description or "",
        tags=wanted.tags or (),
        is_archived=False,
        created_by=actor.audit_name,
        created_at=now,
        updated_at=now,
        path=(*(parent.path if parent else ()), project_id),
    )


def _event(project: Project, actor: Actor, action: str, at: datetime) -> AuditEvent:
    return AuditEvent(at, actor.audit_name, action, "project", str(project.id), project.organization_id)
