"""Projects as the API shows them."""

from collections.abc import Sequence
from uuid import UUID

from starlette.responses import Response

from runpass.server.access.actors import Actor
from runpass.server.access.permissions import ProjectRole
from runpass.server.access.users import User, users
from runpass.server.db.engine import Transaction
from runpass.server.http.preconditions import tell_tag
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.tenancy.model import Project


class ProjectAnswer(ApiModel):
    """Response: a project. `hierarchy` are the ids from the root down to itself, joined by `|`."""

    id: UUID
    name: str
    description: str
    organization_id: UUID
    parent_project_id: UUID | None = None
    hierarchy: str
    tags: list[str]
    is_archived: bool
    role: ProjectRole | None
    """The caller's strongest role, here."""
    created_by: str
    created_by_user: User
    created_at: Moment
    updated_at: Moment


def project_answers(tx: Transaction, actor: Actor, projects: Sequence[Project]) -> list[ProjectAnswer]:
    """Show projects to an actor."""
    makers = users(tx, actor.organization_id, {project.created_by for project in projects})
    return [
        ProjectAnswer(
            id=project.id,
            name=project.name,
            description=project.description,
            organization_id=project.organization_id,
            parent_project_id=project.parent_project_id,
            hierarchy=project.hierarchy,
            tags=list(project.tags),
            is_archived=project.is_archived,
            role=actor.role_at(project.scope),
            created_by=project.created_by,
            created_by_user=makers[project.created_by],
            created_at=project.created_at,
            updated_at=project.updated_at,
        )
        for project in projects
    ]


def project_answer(tx: Transaction, actor: Actor, project: Project, response: Response) -> ProjectAnswer:
    """Show one project, with its entity tag."""
    tell_tag(response, project.updated_at)
    return project_answers(tx, actor, [project])[0]
