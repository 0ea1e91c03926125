"""Queries on what could be assigned, and on whom an assignment reaches."""

from dataclasses import dataclass

from sqlalchemy import CTE, ColumnElement, exists, false, or_, select

from runpass.ids import EnvironmentId, ProjectId
from runpass.protocol.credentials import COST_KINDS, CredentialKind
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import credential_of
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.credentials import credential_assignments, credentials
from runpass.server.db.schema.tenancy import environments, projects
from runpass.server.tenancy.model import Project, path_of

_NOT_FOR_DEPLOYMENTS = tuple(sorted(kind.value for kind in COST_KINDS))


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose credentials a list is about."""

    with_organizations: bool
    """Those of the organization, which are for all its projects."""
    projects: tuple[ProjectId, ...]

    def condition(self) -> ColumnElement[bool]:
        """Give it for the database."""
        of_all = credentials.c.project_id.is_(None) if self.with_organizations else false()
        return or_(of_all, credentials.c.project_id.in_(self.projects))


@dataclass(frozen=True, slots=True)
class ReachedEnvironment:
    """An environment whose runs get what an assignment gives."""

    id: EnvironmentId
    name: str
    project_id: ProjectId
    project_name: str


def not_assigned(tx: Transaction, project: Project, owners: Owners, name: str, limit: int) -> list[StoredCredential]:
    """Give credentials that deployments can get and that are not assigned to exactly this project, by name.

    `name`: only those that have this in their name, in whatever case.
    """
    here = select(credential_assignments.c.credential_id).where(credential_assignments.c.project_id == project.id)
    query = select(credentials).where(
        credentials.c.organization_id == project.organization_id,
        owners.condition(),
        credentials.c.type.not_in(_NOT_FOR_DEPLOYMENTS),
        credentials.c.id.not_in(here),
    )
    if name:
        query = query.where(credentials.c.name.icontains(name, autoescape=True))
    query = query.order_by(credentials.c.name, credentials.c.id).limit(limit)
    return [credential_of(row) for row in tx.execute(query)]


def reached(top: ColumnElement[bool], kind: CredentialKind) -> CTE:
    """Give id, name and hierarchy of projects, and of those below them that have none of this kind of their own.

    `top`: the condition on `projects` for those at which it begins.
    It goes down from level to level and stops where a nearer assignment takes over, as `assignment.effective` looks up.
    """
    start = select(projects.c.id, projects.c.name, projects.c.hierarchy).where(top, projects.c.deleted_at.is_(None))
    found = start.cte("reached", recursive=True)
    below = projects.alias("below")
    own = credential_assignments.join(credentials, credentials.c.id == credential_assignments.c.credential_id)
    replaced = exists().select_from(own)
    replaced = replaced.where(credential_assignments.c.project_id == below.c.id, credentials.c.type == kind.value)
    further = select(below.c.id, below.c.name, below.c.hierarchy).join(found, below.c.parent_project_id == found.c.id)
    return found.union(further.where(below.c.deleted_at.is_(None), ~replaced))


def environments_reached(
    tx: Transaction, project_id: ProjectId, kind: CredentialKind, limit: int
) -> list[ReachedEnvironment]:
    """Give the environments that get what of a kind is assigned to a project, each project's before those below it."""
    places = reached(projects.c.id == project_id, kind)
    query = (
        select(environments.c.id, environments.c.name, environments.c.project_id, places.c.name.label("project_name"))
        .join(places, places.c.id == environments.c.project_id)
        .where(environments.c.is_archived.is_(False))
        .order_by(places.c.hierarchy, environments.c.name, environments.c.id)
        .limit(limit)
    )
    return [
        ReachedEnvironment(EnvironmentId(row.id), row.name, ProjectId(row.project_id), row.project_name)
        for row in tx.execute(query)
    ]


def projects_reached(tx: Transaction, credential: StoredCredential, limit: int) -> list[tuple[ProjectId, ...]]:
    """Give the paths of projects whose runs get a credential, each one before those below it."""
    assigned = select(credential_assignments.c.project_id)
    assigned = assigned.where(credential_assignments.c.credential_id == credential.id)
    places = reached(projects.c.id.in_(assigned), credential.kind)
    query = select(places.c.hierarchy).order_by(places.c.hierarchy).limit(limit)
    found = [path_of(hierarchy) for hierarchy in tx.execute(query).scalars()]
    # SECURITY: as `assignment.effective` has it, one that is assigned where it is not for counts for nobody.
    return [path for path in found if credential.project_id is None or credential.project_id in path]
