"""Every query on templates."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select

from runpass.ids import OrganizationId, ProjectId, TemplateId, new_id
from runpass.server.db.changing import change_row
from runpass.server.db.engine import Transaction, insert_into
from runpass.server.db.schema.templates import template_projects, templates
from runpass.server.templates.model import GitSource, ShellSource, Source, Template, TemplateType


def insert_template(tx: Transaction, template: Template) -> None:
    """Store a new template."""
    tx.execute(
        templates.insert().values(
            id=template.id,
            organization_id=template.organization_id,
            name=template.name,
            description=template.description,
            type=template.type.value,
            source=stored_source(template.source),
            is_deleted=template.is_deleted,
            is_single_use=template.is_single_use,
            created_by=template.created_by,
            created_at=template.created_at,
            updated_at=template.updated_at,
        )
    )


def get_template(tx: Transaction, organization_id: OrganizationId, template_id: TemplateId) -> Template | None:
    """Give a template of this organization, deleted or not."""
    mine = (templates.c.id == template_id) & (templates.c.organization_id == organization_id)
    row = tx.execute(select(templates).where(mine)).one_or_none()
    if row is None:
        return None
    links = select(template_projects.c.project_id).where(template_projects.c.template_id == template_id)
    return _template(row, tx.execute(links).scalars())


def list_templates(
    tx: Transaction,
    organization_id: OrganizationId,
    name: str | None = None,
    *,
    project_ids: Sequence[ProjectId] | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Template]:
    """Give an organization's templates, oldest first, without deleted ones and those of single environments.

    With `project_ids` only those that are attached to one of these projects.
    """
    mine = (templates.c.organization_id == organization_id) & templates.c.is_deleted.is_(False)
    query = select(templates).where(mine, templates.c.is_single_use.is_(False)).order_by(templates.c.id)
    if name is not None:
        query = query.where(templates.c.name == name)
    if project_ids is not None:
        attached = select(template_projects.c.template_id).where(template_projects.c.project_id.in_(project_ids))
        query = query.where(templates.c.id.in_(attached))
    if limit is not None:
        query = query.limit(limit)
    rows = tx.execute(query.offset(offset) if offset else query).all()
    links: dict[Any, list[ProjectId]] = {}
    linked = select(template_projects).where(template_projects.c.template_id.in_([row.id for row in rows]))
    for link in tx.execute(linked):
        links.setdefault(link.template_id, []).append(link.project_id)
    return [_template(row, links.get(row.id, ())) for row in rows]


def change_template(tx: Transaction, template: Template, values: Mapping[str, Any], now: datetime) -> datetime:
    """Change columns of a template; give its new `updated_at`.

    Raises `Conflict` when somebody else has changed it since it was read.
    """
    return change_row(tx, templates, template.id, values, seen=template.updated_at, now=now)


def attach(tx: Transaction, template: Template, project_id: ProjectId) -> None:
    """Let a project run a template. Doing it twice, or twice at once, changes nothing more."""
    link = insert_into(tx, template_projects).values(
        id=new_id(), organization_id=template.organization_id, template_id=template.id, project_id=project_id
    )
    tx.execute(link.on_conflict_do_nothing(index_elements=["template_id", "project_id"]))


def detach(tx: Transaction, template_id: TemplateId, project_id: ProjectId) -> bool:
    """Take a template away from a project; whether it was there."""
    this = (template_projects.c.template_id == template_id) & (template_projects.c.project_id == project_id)
    return tx.execute(delete(template_projects).where(this)).rowcount == 1


def stored_source(source: Source) -> dict[str, Any]:
    """Give a source as it stands in its column."""
    return source.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _template(row: Row[Any], project_ids: Iterable[ProjectId]) -> Template:
    template_type = TemplateType(row.type)
    kind = ShellSource if template_type is TemplateType.SHELL else GitSource
    return Template(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        description=row.description,
        type=template_type,
        source=kind.model_validate(row.source),
        is_deleted=row.is_deleted,
        project_ids=tuple(project_ids),
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        is_single_use=row.is_single_use,
    )
