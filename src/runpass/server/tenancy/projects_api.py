"""JSON routes of projects. The one that deletes them is in `environments`: it cancels deployments."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from runpass.errors import NotFound
from runpass.ids import OrganizationId, ProjectId, new_id
from runpass.server.access.actors import Actor
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.http.dependencies import Db, Now, Offset
from runpass.server.http.preconditions import IfMatch, check_unchanged
from runpass.server.http.wire import ApiModel, Flag, LongText, Name
from runpass.server.tenancy import moving, store
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.project_answers import ProjectAnswer, project_answer, project_answers
from runpass.server.tenancy.tree_store import hold_open, lock_tree
from runpass.server.tenancy.visibility import visible_to

router = APIRouter(prefix="/projects", tags=["Projects"])
Tags = Annotated[tuple[Name, ...] | None, Field(max_length=100)]
Limit = Annotated[int | None, Query(ge=1, le=1000, description="At most so many; without it, all.")]


class CreateProject(ApiModel):
    """Request: a new project."""

    name: Name
    organization_id: UUID
    description: LongText | None = None
    tags: Tags = None
    parent_project_id: UUID | None = None


class ChangeProject(ApiModel):
    """Request: the whole new description of a project; `isArchived` may be left out and then stays as it is."""

    name: Name
    description: LongText | None = None
    tags: Tags = None
    is_archived: Flag | None = None


class MoveProject(ApiModel):
    """Request: where a project is to stand; null for the root."""

    target_project_id: UUID | None


@router.get("")
def list_all(
    organization_id: Annotated[UUID, Query(alias="organizationId")],
    caller: Caller,
    db: Db,
    limit: Limit = None,
    offset: Offset = 0,
) -> list[ProjectAnswer]:
    """List the projects that the caller may see, archived ones included, oldest first."""
    _own(caller, organization_id)
    with db.read() as tx:
        visible = visible_to(tx, caller)
        found = store.list_projects(tx, caller.organization_id, visible, limit=limit, offset=offset)
        return project_answers(tx, caller, found)


@router.get("/{project_id}")
def get(project_id: UUID, caller: Caller, db: Db, response: Response) -> ProjectAnswer:
    """Give one project."""
    with db.read() as tx:
        return project_answer(tx, caller, project_for(tx, caller, project_id, Permission.VIEW_PROJECT), response)


@router.post("", status_code=201)
def create(body: CreateProject, caller: Caller, db: Db, clock: Now, response: Response) -> ProjectAnswer:
    """Make a project, at the root or below another one."""
    _own(caller, body.organization_id)
    with db.write() as tx:
        if body.parent_project_id is not None:
            lock_tree(tx, caller.organization_id)
        parent = moving.parent_for(tx, caller, body.parent_project_id)
        if parent is not None:
            hold_open(tx, parent)
        moving.check_depth("parentProjectId", parent, 1)
        project = _new(body, caller, parent, clock.now())
        store.insert_project(tx, project)
        record(tx, _event(project, caller, "project.created", project.created_at))
        return project_answer(tx, caller, project, response)


@router.put("/{project_id}")
def change(  # noqa: PLR0913 -- one parameter for each part of the request
    project_id: UUID,
    body: ChangeProject,
    caller: Caller,
    db: Db,
    *,
    clock: Now,
    response: Response,
    if_match: IfMatch = None,
) -> ProjectAnswer:
    """Change a project's name, description and tags; archive it, or take that back."""
    now = clock.now()
    with db.write() as tx:
        project = project_for(tx, caller, project_id, Permission.EDIT_PROJECT_SETTINGS)
        check_unchanged(if_match, project.updated_at)
        values: dict[str, Any] = {"name": body.name, "description": body.description or ""}
        values |= {"tags": list(body.tags or ())}
        if body.is_archived is not None:
            values["is_archived"] = body.is_archived
        changed = store.change_project(tx, project, values, now)
        record(tx, _event(project, caller, "project.changed", now))
        if changed.is_archived != project.is_archived:
            action = "project.archived" if changed.is_archived else "project.unarchived"
            record(tx, _event(project, caller, action, now))
        return project_answer(tx, caller, changed, response)


@router.post("/{project_id}/move")
def move(  # noqa: PLR0913 -- one parameter for each part of the request
    project_id: UUID,
    body: MoveProject,
    caller: Caller,
    db: Db,
    *,
    clock: Now,
    response: Response,
    if_match: IfMatch = None,
) -> ProjectAnswer:
    """Put a project and all below it under another one, or at the root."""
    with db.write() as tx:
        lock_tree(tx, caller.organization_id)
        project = project_for(tx, caller, project_id, Permission.EDIT_PROJECT_SETTINGS)
        check_unchanged(if_match, project.updated_at)
        moved = moving.move(tx, caller, project, body.target_project_id, clock.now())
        return project_answer(tx, caller, moved, response)


def _own(caller: Actor, organization_id: UUID) -> None:
    if OrganizationId(organization_id) != caller.organization_id:
        raise NotFound("there is no such organization")


def _new(body: CreateProject, caller: Actor, parent: Project | None, now: datetime) -> Project:
    project_id = ProjectId(new_id())
    return Project(
        id=project_id,
        organization_id=caller.organization_id,
        parent_project_id=parent.id if parent else None,
        name=body.name,
        description=body.description or "",
        tags=body.tags or (),
        is_archived=False,
        created_by=caller.audit_name,
        created_at=now,
        updated_at=now,
        path=(*(parent.path if parent else ()), project_id),
    )


def _event(project: Project, caller: Actor, action: str, at: datetime) -> AuditEvent:
    return AuditEvent(at, caller.audit_name, action, "project", str(project.id), project.organization_id)
