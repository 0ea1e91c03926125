"""JSON routes of templates, under env0's name for them: `/blueprints`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, field_validator

from runpass.errors import NotFound
from runpass.ids import ProjectId, TemplateId, new_id
from runpass.server.access.actors import Actor
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, LongText, Moment, Name, ShortText
from runpass.server.templates import store
from runpass.server.templates.model import ShellSource, Template, TemplateType
from runpass.server.tenancy.lookup import project_for

router = APIRouter(prefix="/blueprints", tags=["Templates"])
Command = Annotated[LongText, Field(min_length=1)]


class TemplateBody(ApiModel):
    """What both requests carry."""

    name: Name
    type: Literal["shell"]
    description: LongText | None = None
    commands: Annotated[tuple[Command, ...], Field(min_length=1, max_length=100)]
    repository: LongText | None = None

    @field_validator("repository")
    @classmethod
    def _no_repository(cls, value: str | None) -> str | None:
        if value:
            raise ValueError("a template of type shell has no repository: its commands are its code")
        return value


class CreateTemplate(TemplateBody):
    """Request: a new template."""

    organization_id: UUID


class AttachProject(ApiModel):
    """Request: the project that may run a template."""

    project_id: UUID


class TemplateAnswer(ApiModel):
    """Response: a template."""

    id: UUID
    name: str
    description: str
    type: TemplateType
    commands: list[str]
    repository: str = ""
    revision: str = ""
    organization_id: UUID
    project_ids: list[UUID]
    is_deleted: bool
    created_by: str
    created_at: Moment
    updated_at: Moment


@router.get("")
def list_all(
    organization_id: Annotated[UUID, Query(alias="organizationId")],
    caller: Caller,
    db: Db,
    name: Annotated[ShortText, Query()] | None = None,
) -> list[TemplateAnswer]:
    """List templates that are not deleted."""
    if organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    caller.require_organization(caller.organization_id, Permission.VIEW_TEMPLATES)
    with db.read() as tx:
        return [_answer(item) for item in store.list_templates(tx, caller.organization_id, name)]


@router.get("/{template_id}")
def get(template_id: UUID, caller: Caller, db: Db) -> TemplateAnswer:
    """Give one template; a deleted one with `isDeleted`."""
    with db.read() as tx:
        return _answer(_template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES))


@router.post("", status_code=201)
def create(body: CreateTemplate, caller: Caller, db: Db, clock: Now) -> TemplateAnswer:
    """Make a template."""
    if body.organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    caller.require_organization(caller.organization_id, Permission.MANAGE_TEMPLATES)
    now = clock.now()
    template = Template(
        id=TemplateId(new_id()),
        organization_id=caller.organization_id,
        name=body.name,
        description=body.description or "",
        type=TemplateType(body.type),
        source=ShellSource(commands=body.commands),
        is_deleted=False,
        project_ids=(),
        created_by=caller.audit_name,
        created_at=now,
        updated_at=now,
    )
    with db.write() as tx:
        store.insert_template(tx, template)
        record(tx, _event(template, caller, "template.created", now))
    return _answer(template)


@router.put("/{template_id}")
def change(template_id: UUID, body: TemplateBody, caller: Caller, db: Db, clock: Now) -> TemplateAnswer:
    """Replace a template. Deployments that are queued keep what they were queued with."""
    now = clock.now()
    with db.write() as tx:
        template = _template_for(tx, caller, template_id, Permission.MANAGE_TEMPLATES)
        source = ShellSource(commands=body.commands).model_dump(mode="json", by_alias=True)
        values = {"name": body.name, "description": body.description or "", "source": source}
        store.update_template(tx, template.id, values, now)
        record(tx, _event(template, caller, "template.changed", now))
        return _answer(_template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES))


@router.delete("/{template_id}", status_code=204)
def delete(template_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Delete a template; environments that were made from it stay."""
    now = clock.now()
    with db.write() as tx:
        template = _template_for(tx, caller, template_id, Permission.MANAGE_TEMPLATES)
        store.update_template(tx, template.id, {"is_deleted": True}, now)
        record(tx, _event(template, caller, "template.deleted", now))


@router.patch("/{template_id}/projects")
def attach(template_id: UUID, body: AttachProject, caller: Caller, db: Db, clock: Now) -> TemplateAnswer:
    """Let a project run a template."""
    with db.write() as tx:
        template = _template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES)
        project = project_for(tx, caller, body.project_id, Permission.EDIT_PROJECT_SETTINGS)
        store.attach(tx, template, project.id)
        record(tx, _event(template, caller, "template.attached", clock.now(), project.id))
        return _answer(_template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES))


@router.delete("/{template_id}/projects/{project_id}", status_code=204)
def detach(template_id: UUID, project_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Take a template away from a project."""
    with db.write() as tx:
        template = _template_for(tx, caller, template_id, Permission.VIEW_TEMPLATES)
        project = project_for(tx, caller, project_id, Permission.EDIT_PROJECT_SETTINGS)
        if not store.detach(tx, template.id, project.id):
            raise NotFound("this template is not attached to this project")
        record(tx, _event(template, caller, "template.detached", clock.now(), project.id))


def _template_for(tx: Transaction, caller: Actor, template_id: UUID, permission: Permission) -> Template:
    caller.require_organization(caller.organization_id, permission)
    template = store.get_template(tx, caller.organization_id, TemplateId(template_id))
    if template is None:
        raise NotFound("there is no such template")
    return template


def _event(
    template: Template, caller: Actor, action: str, at: datetime, project_id: ProjectId | None = None
) -> AuditEvent:
    detail = {"name": template.name} | ({"projectId": str(project_id)} if project_id else {})
    return AuditEvent(at, caller.audit_name, action, "template", str(template.id), template.organization_id, detail)


def _answer(template: Template) -> TemplateAnswer:
    return TemplateAnswer(
        id=template.id,
        name=template.name,
        description=template.description,
        type=template.type,
        commands=list(template.source.commands),
        organization_id=template.organization_id,
        project_ids=list(template.project_ids),
        is_deleted=template.is_deleted,
        created_by=template.created_by,
        created_at=template.created_at,
        updated_at=template.updated_at,
    )
