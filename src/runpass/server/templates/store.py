"""Every query on templates."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update

from runpass.ids import OrganizationId, ProjectId, TemplateId, new_id
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.templates import template_projects, templates
from runpass.server.templates.model import ShellSource, Template, TemplateType


def insert_template(tx: Transaction, template: Template) -> None:
    """Store a new template."""
    tx.execute(
        templates.insert().values(
            id=template.id,
            organization_id=template.organization_id,
            name=template.name,
            description=template.description,
            type=template.type.value,
            source=template.source.model_dump(mode="json", by_alias=True),
            is_deleted=template.is_deleted,
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
    return _template(row, tuple(tx.execute(links).scalars()))


def list_templates(tx: Transaction, organization_id: OrganizationId, name: str | None = None) -> list[Template]:
    """Give an organization's templates that are not deleted, oldest first."""
    mine = templates.c.organization_id == organization_id
    query = select(templates).where(mine, templates.c.is_deleted.is_(False)).order_by(templates.c.id)
    if name is not None:
        query = query.where(templates.c.name == name)
    rows = tx.execute(query).all()
    links: dict[Any, list[ProjectId]] = {}
    linked = select(template_projects).where(template_projects.c.template_id.in_([row.id for row in rows]))
    for link in tx.execute(linked):
        links.setdefault(link.template_id, []).append(link.project_id)
    return [_template(row, tuple(links.get(row.id, ()))) for row in rows]


def update_template(tx: Transaction, template_id: TemplateId, values: Mapping[str, Any], now: datetime) -> None:
    """Change columns of a template."""
    tx.execute(update(templates).where(templates.c.id == template_id).values(**values, updated_at=now))


def attach(tx: Transaction, template: Template, project_id: ProjectId) -> None:
    """Let a project run a template. Doing it twice changes nothing."""
    if project_id not in template.project_ids:
        tx.execute(
            template_projects.insert().values(
                id=new_id(),
                organization_id=template.organization_id,
                template_id=template.id,
                project_id=project_id,
            )
        )


def detach(tx: Transaction, template_id: TemplateId, project_id: ProjectId) -> bool:
    """Take a template away from a project; whether it was there."""
    this = (template_projects.c.template_id == template_id) & (template_projects.c.project_id == project_id)
    return tx.execute(delete(template_projects).where(this)).rowcount == 1


def _template(row: Row[Any], project_ids: tuple[ProjectId, ...]) -> Template:
    return Template(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        description=row.description,
        type=TemplateType(row.type),
        source=ShellSource.model_validate(row.source),
        is_deleted=row.is_deleted,
        project_ids=project_ids,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
