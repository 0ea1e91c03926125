"""Making a template: from a request, or for one environment alone."""

from dataclasses import dataclass
from datetime import datetime

from runpass.ids import OrganizationId, ProjectId, TemplateId, new_id
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.templates import store
from runpass.server.templates.model import Source, Template, TemplateType


@dataclass(frozen=True, slots=True)
class Draft:
    """A template as a caller wants it to be."""

    name: str
    description: str
    type: TemplateType
    source: Source


def make_template(
    tx: Transaction,
    organization_id: OrganizationId,
    draft: Draft,
    *,
    by: str,
    now: datetime,
    only_for: ProjectId | None = None,
) -> Template:
    """Make a template; give it.

    With `only_for` it belongs to one environment of this project: attached to the project, and in no list.
    """
    template = Template(
        id=TemplateId(new_id()),
        organization_id=organization_id,
        name=draft.name,
        description=draft.description,
        type=draft.type,
        source=draft.source,
        is_deleted=False,
        project_ids=() if only_for is None else (only_for,),
        created_by=by,
        created_at=now,
        updated_at=now,
        is_single_use=only_for is not None,
    )
    store.insert_template(tx, template)
    if only_for is not None:
        store.attach(tx, template, only_for)
    detail = {"name": template.name} | ({"projectId": str(only_for)} if only_for else {})
    record(tx, AuditEvent(now, by, "template.created", "template", str(template.id), organization_id, detail))
    return template
