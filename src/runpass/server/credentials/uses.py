"""Who uses a credential: the projects that it is assigned to, and all whose runs get it on account of that."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import CTE, exists, func, select

from runpass.ids import EnvironmentId, ProjectId
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.credentials import credential_assignments, credentials
from runpass.server.db.schema.tenancy import environments, projects

MOST_NAMED: Final = 20
"""Projects, and environments, that a page names."""
MOST_COUNTED: Final = 1_000
"""Environments beyond which they are not counted."""


@dataclass(frozen=True, slots=True)
class Place:
    """A project by name."""

    id: ProjectId
    name: str


@dataclass(frozen=True, slots=True)
class UsingEnvironment:
    """An environment whose runs get a credential."""

    id: EnvironmentId
    name: str
    project: str


@dataclass(frozen=True, slots=True)
class Uses:
    """What would lose a credential."""

    projects: tuple[Place, ...]
    """Those that it is assigned to, by name, at most `MOST_NAMED`."""
    project_count: int
    environments: tuple[UsingEnvironment, ...] = ()
    """Those whose runs get it, at most `MOST_NAMED`; archived ones are left out."""
    environment_count: int = 0
    """At most `MOST_COUNTED`."""

    @property
    def more_projects(self) -> int:
        """Give how many are not named."""
        return self.project_count - len(self.projects)

    @property
    def more_environments(self) -> int:
        """Give how many are not named; there may be more still where not all are counted."""
        return self.environment_count - len(self.environments)

    @property
    def is_counted(self) -> bool:
        """Whether all environments were counted."""
        return self.environment_count < MOST_COUNTED


def assigned_to_projects(tx: Transaction, credential: StoredCredential) -> Uses:
    """Give the projects that a credential is assigned to."""
    mine = _assigned(credential)
    query = select(projects.c.id, projects.c.name).join(mine, mine.c.project_id == projects.c.id)
    query = query.where(projects.c.deleted_at.is_(None))
    count = tx.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    rows = tx.execute(query.order_by(projects.c.name, projects.c.id).limit(MOST_NAMED))
    return Uses(tuple(Place(ProjectId(row.id), row.name) for row in rows), int(count))


def uses_of(tx: Transaction, credential: StoredCredential) -> Uses:
    """Give the projects that a credential is assigned to, and the environments whose runs get it."""
    assigned = assigned_to_projects(tx, credential)
    reached = _reached(credential)
    query = (
        select(environments.c.id, environments.c.name, reached.c.name.label("project"))
        .join(reached, reached.c.id == environments.c.project_id)
        .where(environments.c.is_archived.is_(False))
    )
    counted = query.limit(MOST_COUNTED).subquery()
    count = tx.execute(select(func.count()).select_from(counted)).scalar_one()
    rows = tx.execute(query.order_by(reached.c.hierarchy, environments.c.name, environments.c.id).limit(MOST_NAMED))
    found = tuple(UsingEnvironment(EnvironmentId(row.id), row.name, row.project) for row in rows)
    return Uses(assigned.projects, assigned.project_count, found, int(count))


def projects_with(tx: Transaction, credential: StoredCredential, limit: int) -> list[ProjectId]:
    """Give the projects whose runs get a credential, oldest first: what a Vault's role lists."""
    reached = _reached(credential)
    return [ProjectId(item) for item in tx.execute(select(reached.c.id).order_by(reached.c.id).limit(limit)).scalars()]


def _assigned(credential: StoredCredential) -> CTE:
    mine = credential_assignments.c.credential_id == credential.id
    return select(credential_assignments.c.project_id).where(mine).cte("assigned")


def _reached(credential: StoredCredential) -> CTE:
    """Give the projects whose runs get a credential (id, name, hierarchy), as `assignment.effective` decides for each.

    From those that it is assigned to downwards, and no further than to a project with one of this kind of its own.
    """
    # With their names: joined with them once more, they might all be looked through.
    start = select(projects.c.id, projects.c.name, projects.c.hierarchy).where(projects.c.deleted_at.is_(None))
    assigned = _assigned(credential)
    found = start.where(projects.c.id.in_(select(assigned.c.project_id))).cte("reached", recursive=True)
    below = projects.alias("below")
    own = credential_assignments.join(credentials, credentials.c.id == credential_assignments.c.credential_id)
    of_kind = credentials.c.type == credential.kind.value
    replaced = exists().select_from(own).where(credential_assignments.c.project_id == below.c.id, of_kind)
    further = select(below.c.id, below.c.name, below.c.hierarchy).join(found, below.c.parent_project_id == found.c.id)
    return found.union(further.where(below.c.deleted_at.is_(None), ~replaced))
