"""JSON routes of projects."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from runpass.errors import InvalidInput, NotFound
from runpass.ids import OrganizationId, ProjectId, new_id
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, LongText, Moment, Name
from runpass.server.tenancy import store
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project

router = APIRouter(prefix="/projects", tags=["Projects"])
Tags = Annotated[tuple[Name, ...] | None, Field(max_length=100)]


class CreateProject(ApiModel):
    """Request: a new project."""

    name: Name
    organization_id: UUID
    description: LongText | None = None
    tags: Tags = None
    parent_project_id: UUID | None = None


class ChangeProject(ApiModel):
    """Request: the whole new description of a project."""

    name: Name
    description: LongText | None = None
    tags: Tags = None


class ProjectAnswer(ApiModel):
    """Response: a project. `hierarchy` are the ids from the root down to itself, joined by `|`."""

    id: UUID
    name: str
    description: str
    organization_id: UUID
    parent_project_id: UUID | None = None
    hierarchy: str
    tags: list[str]
    is_archived: bool
    created_by: str
    created_at: Moment
    updated_at: Moment


@router.get("")
def list_all(
    organization_id: Annotated[UUID, Query(alias="organizationId")], caller: Caller, db: Db
) -> list[ProjectAnswer]:
    """List the projects that the caller may see."""
    _own(caller, organization_id)
    with db.read() as tx:
        found = store.list_projects(tx, caller.organization_id)
    return [_answer(project) for project in found if caller.may(Permission.VIEW_PROJECT, project.scope)]


@router.get("/{project_id}")
def get(project_id: UUID, caller: Caller, db: Db) -> ProjectAnswer:
    """Give one project."""
    with db.read() as tx:
        return _answer(project_for(tx, caller, project_id, Permission.VIEW_PROJECT))


@router.post("", status_code=201)
def create(body: CreateProject, caller: Caller, db: Db, clock: Now) -> ProjectAnswer:
    """Make a project, at the root or below another one."""
    _own(caller, body.organization_id)
    now = clock.now()
    with db.write() as tx:
        path = _parent_path(tx, caller, body.parent_project_id)
        project_id = ProjectId(new_id())
        project = Project(
            id=project_id,
            organization_id=caller.organization_id,
            parent_project_id=path[-1] if path else None,
            name=body.name,
            description=body.description or "",
            tags=body.tags or (),
            is_archived=False,
            created_by=caller.audit_name,
            created_at=now,
            updated_at=now,
            path=(*path, project_id),
        )
        store.insert_project(tx, project)
        record(tx, _event(project, caller, "project.created", now))
    return _answer(project)


@router.put("/{project_id}")
def change(project_id: UUID, body: ChangeProject, caller: Caller, db: Db, clock: Now) -> ProjectAnswer:
    """Change a project's name, description and tags."""
    now = clock.now()
    with db.write() as tx:
        project = project_for(tx, caller, project_id, Permission.EDIT_PROJECT_SETTINGS)
        values = {"name": body.name, "description": body.description or "", "tags": list(body.tags or ())}
        store.update_project(tx, project.id, values, now)
        record(tx, _event(project, caller, "project.changed", now))
        return _answer(project_for(tx, caller, project_id, Permission.VIEW_PROJECT))


@router.delete("/{project_id}", status_code=204)
def delete(project_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Delete a project that nothing points at any more, with its own variables."""
    with db.write() as tx:
        project = project_for(tx, caller, project_id, Permission.EDIT_PROJECT_SETTINGS)
        store.delete_project(tx, project.id)
        record(tx, _event(project, caller, "project.deleted", clock.now()))


def _own(caller: Actor, organization_id: UUID) -> None:
    if OrganizationId(organization_id) != caller.organization_id:
        raise NotFound("there is no such organization")


def _parent_path(tx: Transaction, caller: Actor, parent_id: UUID | None) -> tuple[ProjectId, ...]:
    if parent_id is None:
        caller.require(Permission.CREATE_PROJECT, ScopePath(caller.organization_id))
        return ()
    parent = project_for(tx, caller, parent_id, Permission.CREATE_PROJECT)
    if len(parent.path) >= store.MAX_DEPTH:
        raise InvalidInput.of("parentProjectId", f"projects stand at most {store.MAX_DEPTH} levels deep")
    return parent.path


def _event(project: Project, caller: Actor, action: str, at: datetime) -> AuditEvent:
    return AuditEvent(at, caller.audit_name, action, "project", str(project.id), project.organization_id)


def _answer(project: Project) -> ProjectAnswer:
    return ProjectAnswer(
        id=project.id,
        name=project.name,
        description=project.description,
        organization_id=project.organization_id,
        parent_project_id=project.parent_project_id,
        hierarchy="|".join(str(item) for item in project.path),
        tags=list(project.tags),
        is_archived=project.is_archived,
        created_by=project.created_by,
        created_at=project.created_at,
        updated_at=project.updated_at,
    )
