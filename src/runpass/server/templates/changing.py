"""Changing a template: what it holds, which projects may run it, and its end."""

from datetime import datetime

from runpass.errors import Conflict, NotFound
from runpass.ids import ProjectId
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.templates import store
from runpass.server.templates.making import Draft
from runpass.server.templates.model import Template


def usable(template: Template) -> Template:
    """Give the template. Raises `Conflict` for one that is deleted."""
    if template.is_deleted:
        raise Conflict("the template is deleted")
    return template


def replace_template(tx: Transaction, template: Template, draft: Draft, *, by: str, now: datetime) -> None:
    """Make a template what a draft says. Raises `Conflict` if it has changed since it was read."""
    values = {
        "name": draft.name,
        "description": draft.description,
        "type": draft.type.value,
        "source": store.stored_source(draft.source),
    }
    store.change_template(tx, template, values, now)
    _note(tx, template, "changed", by=by, now=now)


def delete_template(tx: Transaction, template: Template, *, by: str, now: datetime) -> None:
    """Mark a template as deleted; doing it twice changes nothing. Raises `Conflict` if it has changed meanwhile."""
    if template.is_deleted:
        return
    store.change_template(tx, template, {"is_deleted": True}, now)
    _note(tx, template, "deleted", by=by, now=now)


def attach_template(tx: Transaction, template: Template, project_id: ProjectId, *, by: str, now: datetime) -> None:
    """Let a project, and all below it, run a template. Raises `Conflict` for one that is another environment's own."""
    if template.is_single_use and project_id not in template.project_ids:
        raise Conflict("the template belongs to one environment, so no other project can have it")
    store.attach(tx, template, project_id)
    _note(tx, template, "attached", by=by, now=now, project_id=project_id)


def detach_template(tx: Transaction, template: Template, project_id: ProjectId, *, by: str, now: datetime) -> None:
    """Take a template away from a project. Raises `NotFound` if the project does not have it."""
    if not store.detach(tx, template.id, project_id):
        raise NotFound("this template is not attached to this project")
    _note(tx, template, "detached", by=by, now=now, project_id=project_id)


def _note(
    tx: Transaction, template: Template, action: str, *, by: str, now: datetime, project_id: ProjectId | None = None
) -> None:
    detail = {"name": template.name} | ({"projectId": str(project_id)} if project_id else {})
    subject, organization = str(template.id), template.organization_id
    record(tx, AuditEvent(now, by, f"template.{action}", "template", subject, organization, detail))
