"""JSON routes of templates, under env0's name for them: `/blueprints`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from runpass.errors import NotOffered
from runpass.ids import ProjectId
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db, Now, Offset
from runpass.server.http.preconditions import IfMatch
from runpass.server.http.wire import ApiModel, ShortText
from runpass.server.templates import managing, store
from runpass.server.templates.answers import TemplateAnswer, template_answer, template_answers
from runpass.server.templates.managing import require_templates, template_for
from runpass.server.templates.requests import AttachProject, CreateTemplate, TemplateBody
from runpass.server.tenancy.lookup import project_for

router = APIRouter(prefix="/blueprints", tags=["Templates"])


class Chosen(ApiModel):
    """Query: which templates."""

    organization_id: UUID | None = None
    project_id: UUID | None = None
    name: ShortText | None = None
    limit: Annotated[int, Query(ge=1, le=1000)] | None = None
    offset: Offset = 0


@router.get("")
def list_all(chosen: Annotated[Chosen, Query()], caller: Caller, db: Db) -> list[TemplateAnswer]:
    """List templates that are not deleted: all, those of a name, or those that a project may run."""
    require_templates(caller, chosen.organization_id or caller.organization_id, Permission.VIEW_TEMPLATES)
    path: tuple[ProjectId, ...] | None = None
    with db.read() as tx:
        if chosen.project_id is not None:
            path = project_for(tx, caller, chosen.project_id, Permission.VIEW_PROJECT).path
        found = store.list_templates(
            tx,
            caller.organization_id,
            chosen.name,
            project_ids=path,
            limit=chosen.limit,
            offset=chosen.offset,
        )
        return template_answers(tx, found)


@router.get("/variables-from-repository", responses={501: {}})
def find_variables(caller: Caller) -> None:
    """Say that this is not offered."""
    caller.require_organization(caller.organization_id, Permission.VIEW_TEMPLATES)
    raise NotOffered(
        "variables are not read from a repository: the server never runs git and has no access to repositories",
        hint="set the variables with POST /configuration",
    )


@router.get("/{template_id}")
def get(template_id: UUID, caller: Caller, db: Db, response: Response) -> TemplateAnswer:
    """Give one template; a deleted one with `isDeleted`."""
    with db.read() as tx:
        template = template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES)
        return template_answer(tx, template, response)


@router.post("", status_code=201)
def create(body: CreateTemplate, caller: Caller, db: Db, clock: Now, response: Response) -> TemplateAnswer:
    """Make a template."""
    with db.write() as tx:
        template = managing.create(tx, caller, body, clock.now())
        return template_answer(tx, template, response)


@router.put("/{template_id}")
def change(  # noqa: PLR0913, PLR0917 -- one parameter for each part of the request
    template_id: UUID,
    body: TemplateBody,
    caller: Caller,
    db: Db,
    clock: Now,
    response: Response,
    if_match: IfMatch = None,
) -> TemplateAnswer:
    """Replace a template. Deployments that are queued keep what they were queued with."""
    with db.write() as tx:
        template = managing.change(tx, caller, template_id, body, if_match=if_match, now=clock.now())
        return template_answer(tx, template, response)


@router.delete("/{template_id}", status_code=204)
def delete(template_id: UUID, caller: Caller, db: Db, clock: Now, if_match: IfMatch = None) -> None:
    """Delete a template; environments that were made from it stay."""
    with db.write() as tx:
        managing.delete(tx, caller, template_id, if_match=if_match, now=clock.now())


@router.patch("/{template_id}/projects")
def attach(  # noqa: PLR0917 -- one parameter for each part of the request
    template_id: UUID, body: AttachProject, caller: Caller, db: Db, clock: Now, response: Response
) -> TemplateAnswer:
    """Let a project, and all below it, run a template."""
    with db.write() as tx:
        template = managing.attach(tx, caller, template_id, body.project_id, clock.now())
        return template_answer(tx, template, response)


@router.delete("/{template_id}/projects/{project_id}", status_code=204)
def detach(template_id: UUID, project_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Take a template away from a project."""
    with db.write() as tx:
        managing.detach(tx, caller, template_id, project_id, clock.now())
