"""What is told of a template."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from starlette.responses import Response

from runpass.server.access.users import User, users
from runpass.server.db.engine import Transaction
from runpass.server.http.preconditions import tell_tag
from runpass.server.http.wire import Moment
from runpass.server.templates.model import GitSource, ShellSource, Template, TemplateType


class TemplateAnswer(GitSource):
    """Response: a template. Fields of the repository are empty for type `shell`, `commands` for all others."""

    id: UUID
    name: str
    description: str
    type: TemplateType
    commands: tuple[str, ...] = ()
    plan_commands: tuple[str, ...] = ()
    destroy_commands: tuple[str, ...] = ()
    organization_id: UUID
    project_id: UUID | None = None
    project_ids: list[UUID]
    is_deleted: bool
    is_single_use: bool
    creation_scope: Literal["ORGANIZATION"] = "ORGANIZATION"
    creation_scope_id: UUID
    author: User
    author_id: str
    """As in `author`."""
    created_by: str
    created_at: Moment
    updated_at: Moment
    href: str
    """Where a browser may find the code; empty when that is not known."""


def template_answers(tx: Transaction, templates: Sequence[Template]) -> list[TemplateAnswer]:
    """Give the answers for templates of one organization."""
    makers = users(tx, templates[0].organization_id, {item.created_by for item in templates}) if templates else {}
    return [_answer(template, makers[template.created_by]) for template in templates]


def template_answer(tx: Transaction, template: Template, response: Response) -> TemplateAnswer:
    """Give the answer for one template, with its entity tag."""
    tell_tag(response, template.updated_at)
    return template_answers(tx, [template])[0]


def _answer(template: Template, author: User) -> TemplateAnswer:
    return TemplateAnswer(
        **_source(template),
        id=template.id,
        name=template.name,
        description=template.description,
        type=template.type,
        organization_id=template.organization_id,
        project_ids=list(template.project_ids),
        is_deleted=template.is_deleted,
        is_single_use=template.is_single_use,
        creation_scope_id=template.organization_id,
        author=author,
        author_id=template.created_by,
        created_by=template.created_by,
        created_at=template.created_at,
        updated_at=template.updated_at,
        href=_href(template),
    )


def _source(template: Template) -> dict[str, object]:
    """Give the fields of a source, by their names in Python."""
    empty = {"repository": ""} if isinstance(template.source, ShellSource) else {}
    return empty | template.source.model_dump()


def _href(template: Template) -> str:
    if isinstance(template.source, ShellSource) or not template.source.repository.startswith("https://"):
        return ""
    return template.source.repository.removesuffix(".git")
