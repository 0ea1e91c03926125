"""What callers do with templates: the rules of the JSON routes and of the console."""

from datetime import datetime
from uuid import UUID

from runpass.errors import NotFound
from runpass.ids import OrganizationId, TemplateId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.http.preconditions import check_unchanged
from runpass.server.templates import store
from runpass.server.templates.changing import (
    attach_template,
    delete_template,
    detach_template,
    replace_template,
    usable,
)
from runpass.server.templates.making import make_template
from runpass.server.templates.model import Template
from runpass.server.templates.requests import CreateTemplate, TemplateBody
from runpass.server.tenancy.lookup import project_for


def require_templates(actor: Actor, organization_id: UUID, permission: Permission) -> OrganizationId:
    """Give the actor's own organization, whose templates it may use so.

    Raises `NotFound` for every other one, `Forbidden` for a missing permission.
    """
    if OrganizationId(organization_id) != actor.organization_id:
        raise NotFound("there is no such organization")
    actor.require_organization(actor.organization_id, permission)
    return actor.organization_id


def template_for(tx: Transaction, actor: Actor, template_id: UUID, permission: Permission) -> Template:
    """Give a template that this actor may use so, deleted or not. Raises `NotFound` or `Forbidden`."""
    actor.require_organization(actor.organization_id, permission)
    template = store.get_template(tx, actor.organization_id, TemplateId(template_id))
    if template is None:
        raise NotFound("there is no such template")
    return template


def create(tx: Transaction, actor: Actor, wanted: CreateTemplate, now: datetime) -> Template:
    """Make a template; give it. Raises as `require_templates`; `InvalidInput` for what does not go together."""
    mine = require_templates(actor, wanted.organization_id, Permission.MANAGE_TEMPLATES)
    return make_template(tx, mine, wanted.draft(), by=actor.audit_name, now=now)


def change(
    tx: Transaction, actor: Actor, template_id: UUID, wanted: TemplateBody, *, if_match: str | None, now: datetime
) -> Template:
    """Make a template what a caller wants it to be; give it. Deployments that are queued keep what they had.

    Raises as `template_for`; `InvalidInput` for what does not go together, `PreconditionFailed` if it is not what
    `if_match` names, `Conflict` if it is deleted or somebody else was faster.
    """
    template = usable(template_for(tx, actor, template_id, Permission.MANAGE_TEMPLATES))
    check_unchanged(if_match, template.updated_at)
    replace_template(tx, template, wanted.draft(), by=actor.audit_name, now=now)
    return template_for(tx, actor, template_id, Permission.VIEW_TEMPLATES)


def delete(tx: Transaction, actor: Actor, template_id: UUID, *, if_match: str | None, now: datetime) -> None:
    """Delete a template; environments that were made from it stay. Raises as `change`."""
    template = template_for(tx, actor, template_id, Permission.MANAGE_TEMPLATES)
    check_unchanged(if_match, template.updated_at)
    delete_template(tx, template, by=actor.audit_name, now=now)


def attach(tx: Transaction, actor: Actor, template_id: UUID, project_id: UUID, now: datetime) -> Template:
    """Let a project, and all below it, run a template; give it. Raises `NotFound`, `Forbidden` or `Conflict`."""
    template = usable(template_for(tx, actor, template_id, Permission.VIEW_TEMPLATES))
    project = project_for(tx, actor, project_id, Permission.EDIT_PROJECT_SETTINGS)
    attach_template(tx, template, project.id, by=actor.audit_name, now=now)
    return template_for(tx, actor, template_id, Permission.VIEW_TEMPLATES)


def detach(tx: Transaction, actor: Actor, template_id: UUID, project_id: UUID, now: datetime) -> None:
    """Take a template away from a project. Raises `NotFound`, also where it does not have it, or `Forbidden`."""
    template = template_for(tx, actor, template_id, Permission.VIEW_TEMPLATES)
    project = project_for(tx, actor, project_id, Permission.EDIT_PROJECT_SETTINGS)
    detach_template(tx, template, project.id, by=actor.audit_name, now=now)
