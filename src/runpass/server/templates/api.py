"""JSON routes of templates, under env0's name for them: `/blueprints`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from runpass.errors import NotFound, NotOffered
from runpass.ids import ProjectId, TemplateId
from runpass.server.access.actors import Actor
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now, Offset
from runpass.server.http.preconditions import IfMatch, check_unchanged
from runpass.server.http.wire import ApiModel, ShortText
from runpass.server.templates import store
from runpass.server.templates.answers import TemplateAnswer, template_answer, template_answers
from runpass.server.templates.changing import (
    attach_template,
    delete_template,
    detach_template,
    replace_template,
    usable,
)
from runpass.server.templates.making import make_template
from runpass.server.templates.model import Template
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
    if chosen.organization_id not in {None, caller.organization_id}:
        raise NotFound("there is no such organization")
    caller.require_organization(caller.organization_id, Permission.VIEW_TEMPLATES)
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
        template = _template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES)
        return template_answer(tx, template, response)


@router.post("", status_code=201)
def create(body: CreateTemplate, caller: Caller, db: Db, clock: Now, response: Response) -> TemplateAnswer:
    """Make a template."""
    if body.organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    caller.require_organization(caller.organization_id, Permission.MANAGE_TEMPLATES)
    draft = body.draft()
    with db.write() as tx:
        template = make_template(tx, caller.organization_id, draft, by=caller.audit_name, now=clock.now())
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
        template = usable(_template_for(tx, caller, template_id, Permission.MANAGE_TEMPLATES))
        check_unchanged(if_match, template.updated_at)
        replace_template(tx, template, body.draft(), by=caller.audit_name, now=clock.now())
        return template_answer(tx, _template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES), response)


@router.delete("/{template_id}", status_code=204)
def delete(template_id: UUID, caller: Caller, db: Db, clock: Now, if_match: IfMatch = None) -> None:
    """Delete a template; environments that were made from it stay."""
    with db.write() as tx:
        template = _template_for(tx, caller, template_id, Permission.MANAGE_TEMPLATES)
        check_unchanged(if_match, template.updated_at)
        delete_template(tx, template, by=caller.audit_name, now=clock.now())


@router.patch("/{template_id}/projects")
def attach(  # noqa: PLR0917 -- one parameter for each part of the request
    template_id: UUID, body: AttachProject, caller: Caller, db: Db, clock: Now, response: Response
) -> TemplateAnswer:
    """Let a project, and all below it, run a template."""
    with db.write() as tx:
        template = usable(_template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES))
        project = project_for(tx, caller, body.project_id, Permission.EDIT_PROJECT_SETTINGS)
        attach_template(tx, template, project.id, by=caller.audit_name, now=clock.now())
        return template_answer(tx, _template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES), response)


@router.delete("/{template_id}/projects/{project_id}", status_code=204)
def detach(template_id: UUID, project_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Take a template away from a project."""
    with db.write() as tx:
        template = _template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES)
        project = project_for(tx, caller, project_id, Permission.EDIT_PROJECT_SETTINGS)
        detach_template(tx, template, project.id, by=caller.audit_name, now=clock.now())


def _template_for(tx: Transaction, caller: Actor, template_id: UUID, permission: Permission) -> Template:
    caller.require_organization(caller.organization_id, permission)
    template = store.get_template(tx, caller.organization_id, TemplateId(template_id))
    if template is None:
        raise NotFound("there is no such template")
    return template
