"""JSON routes of projects. The one that deletes them is in `environments`: it cancels deployments."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db, Now, Offset
from runpass.server.http.preconditions import IfMatch
from runpass.server.tenancy import changing_projects as rules
from runpass.server.tenancy import store
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.project_answers import ProjectAnswer, project_answer, project_answers
from runpass.server.tenancy.project_requests import ChangeProject, CreateProject, MoveProject
from runpass.server.tenancy.visibility import visible_to

router = APIRouter(prefix="/projects", tags=["Projects"])
Limit = Annotated[int | None, Query(ge=1, le=1000, description="At most so many; without it, all.")]


@router.get("")
def list_all(
    organization_id: Annotated[UUID, Query(alias="organizationId")],
    caller: Caller,
    db: Db,
    limit: Limit = None,
    offset: Offset = 0,
) -> list[ProjectAnswer]:
    """List the projects that the caller may see, archived ones included, oldest first."""
    rules.require_own(caller, organization_id)
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
    with db.write() as tx:
        project = rules.create_project(tx, caller, body, clock.now())
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
    with db.write() as tx:
        changed = rules.change_project(tx, caller, project_id, body, if_match=if_match, now=clock.now())
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
        target = body.target_project_id
        moved = rules.move_project(tx, caller, project_id, target, if_match=if_match, now=clock.now())
        return project_answer(tx, caller, moved, response)
