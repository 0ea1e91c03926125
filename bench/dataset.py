"""A database full of organizations: filled in bulk, straight into the tables, and no audit event with it.

Two organizations are looked at, an ordinary one and a large one; the rest is there to be in the way. Whatever the
schema demands beside what is said here is filled in by type, so that a new column does not stop the benchmark.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, cycle, islice
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column, Table, select, text

from runpass.clock import SYSTEM_CLOCK
from runpass.ids import new_id
from runpass.secret import Secret
from runpass.server.db.engine import Database, Transaction
from runpass.server.db.schema import metadata
from runpass.server.db.schema.columns import UtcDateTime
from runpass.server.tenancy.founding import found_organization

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT_ONCE = 5_000
STEPS = 5
Row = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """How many organizations there are, and what the large one holds."""

    organizations: int
    large_projects: int
    large_deployments: int
    projects: int = 15
    environments: int = 2
    deployments: int = 6
    """Of an ordinary organization: projects, environments of each, deployments of each of those."""
    large_environments: int = 1
    """Of each project of the large one."""
    large_extras: int = 0
    """How many credentials, runners, people and variables the large one has beside what every organization has."""
    large_audit_events: int = 0
    large_log_lines: int = 0
    """Of the newest deployment of its first environment, in one step."""
    with_live: bool = False
    """Whether of every three environments one has a deployment that waits, and one a deployment that runs."""


BIG = Scale(organizations=1_000, large_projects=5_000, large_deployments=20_000)
"""Together 20,000 projects, 35,000 environments and more than 200,000 deployments."""

USED = Scale(
    organizations=20,
    large_projects=100,
    large_environments=10,
    large_deployments=20_000,
    large_extras=200,
    large_audit_events=20_000,
    large_log_lines=100_000,
)
"""What pages are looked at in: an organization of 100 projects, 1,000 environments and more than 20,000 deployments."""

ALMOST_EMPTY = Scale(organizations=2, large_projects=100, large_deployments=100)
"""As many rows as the longest page has: the same answers, out of tables that hold little else."""


@dataclass(frozen=True)
class Looked:
    """An organization that is looked at: its key, and one of everything it has."""

    organization: str
    key: tuple[str, Secret]
    project: str
    environment: str
    deployment: str
    more: Mapping[str, str]
    """Ids of other things, by what a route calls them."""


@dataclass(frozen=True)
class Dataset:
    """What the database holds."""

    ordinary: Looked
    large: Looked
    rows: Mapping[str, int]


def fill(database: Database, scale: Scale) -> Dataset:
    """Fill an empty, migrated database, and let PostgreSQL learn how much there is, as its daemon would."""
    looked = [found_organization(database, name, SYSTEM_CLOCK) for name in ("ordinary", "large")]
    counts: dict[str, int] = {}
    ordinary = _Organization(looked[0].organization.id, [scale.environments] * scale.projects, scale.deployments)
    environments = [scale.large_environments] * scale.large_projects
    large = _Organization(looked[1].organization.id, environments, 1, scale.large_deployments, scale)
    with database.write() as tx:
        heads = metadata.tables["audit_heads"]
        large.audit_head = tx.execute(select(heads.c.seq).where(heads.c.chain == large.id)).scalar_one()
        others = [new_id() for _ in range(scale.organizations - len(looked))]
        organizations = ({"id": item, "name": str(item), "oidc_sub": str(item)} for item in others)
        _insert(tx, counts, "organizations", organizations)
        rest = (_Organization(item, [scale.environments] * scale.projects, scale.deployments) for item in others)
        for one in (ordinary, large):
            _insert_all(tx, counts, [one], with_live=scale.with_live)
        while some := list(islice(rest, 50)):
            _insert_all(tx, counts, some, with_live=scale.with_live)
    if not database.is_sqlite:  # a database that has run for a while has this behind it
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"VACUUM ANALYZE {', '.join(sorted({*counts, 'organizations'}))}"))
            connection.execute(text("CHECKPOINT"))
    first, second = (
        Looked(str(item.id), (found.admin_key.key.api_key_id, found.admin_key.secret), *item.looked_at, item.more)
        for item, found in zip((ordinary, large), looked, strict=True)
    )
    return Dataset(first, second, counts)


NO_EXTRAS = Scale(organizations=0, large_projects=0, large_deployments=0)


class _Organization:
    """The rows of one organization, made when they are asked for."""

    def __init__(
        self,
        organization: UUID,
        environments: Sequence[int],
        deployments: int,
        deployments_of_first: int = 0,
        extras: Scale = NO_EXTRAS,
    ) -> None:
        self.id, self._extras, self.audit_head = organization, extras, 0
        self._pool, self._template = new_id(), new_id()
        self._projects = [new_id() for _ in environments]
        self._environments = [
            (new_id(), project) for project, many in zip(self._projects, environments, strict=True) for _ in range(many)
        ]
        first, *rest = self._environments
        self._deployments = [(new_id(), *first) for _ in range(deployments_of_first or deployments)]
        self._deployments += [(new_id(), *item) for item in rest for _ in range(deployments)]
        newest = self._deployments[(deployments_of_first or deployments) - 1][0]
        self.looked_at = (str(self._projects[0]), str(first[0]), str(newest))
        self._with_steps = newest
        self._credentials = [new_id() for _ in range(5 + extras.large_extras)]  # as they are stored: in order
        self._runner, self._person = new_id(), new_id()
        self.more = {
            "template_id": str(self._template),
            "credential_id": str(self._credentials[0]),
            **({"runner_id": str(self._runner), "person_id": str(self._person)} if extras.large_extras else {}),
        }

    def pools(self) -> Iterator[Row]:
        yield {"id": self._pool, "organization_id": self.id, "name": "default"}

    def projects(self) -> Iterator[Row]:
        for number, project in enumerate(self._projects):
            name = f"project {number}"
            yield {"id": project, "organization_id": self.id, "name": name, "tags": [], "hierarchy": str(project)}

    def templates(self) -> Iterator[Row]:
        source = {"commands": ["true"]}
        for number in range(5):
            template = self._template if number == 0 else new_id()
            row = {"id": template, "organization_id": self.id, "name": f"template {number}"}
            yield row | {"type": "shell", "source": source}

    def template_projects(self) -> Iterator[Row]:
        for project in self._projects[:10]:
            yield {"organization_id": self.id, "template_id": self._template, "project_id": project}

    def credentials(self) -> Iterator[Row]:
        value = {"address": "https://vault.example.com", "version": "1", "roleName": "r", "jwtAuthBackendPath": "jwt"}
        for number, credential in enumerate(self._credentials):
            row = {"id": credential, "organization_id": self.id, "name": f"credential {number}"}
            yield row | {"type": "VAULT_OIDC", "value": value}

    def assignments(self) -> Iterator[Row]:
        for project in self._projects[:10]:
            yield {"organization_id": self.id, "credential_id": self._credentials[0], "project_id": project}

    def environments(self) -> Iterator[Row]:
        for number, (environment, project) in enumerate(self._environments):
            row = {"id": environment, "organization_id": self.id, "project_id": project, "template_id": self._template}
            yield row | {"name": f"environment {number}", "workspace_name": str(environment), "status": "ACTIVE"}

    def variables(self) -> Iterator[Row]:
        places = [("GLOBAL", self.id), *(("PROJECT", project) for project in self._projects[:5])]
        for scope, place in places:
            for number in range(10 + self._extras.large_extras):
                row = {"organization_id": self.id, "scope": scope, "scope_id": place, "name": f"NAME_{number}"}
                yield row | {"value": "text", "value_sealed": None, "is_sensitive": False}

    def deployments(self) -> Iterator[Row]:
        for one in self._deployments:
            yield self._deployment(*one)

    def _deployment(self, deployment: UUID, environment: UUID, project: UUID) -> Row:
        row = {"id": deployment, "organization_id": self.id, "project_id": project, "environment_id": environment}
        ended = {"started_at": AT, "finished_at": AT, "status": "SUCCESS", "inputs_sealed": bytes(64)}
        kind = {"type": "deploy", "phase": "apply", "trigger_name": "user", "started_by": "test"}
        return row | ended | kind | {"template_id": self._template, "pool_id": self._pool}

    def live_deployments(self) -> Iterator[Row]:
        states = ("QUEUED", "IN_PROGRESS", None)
        for state, (environment, project) in zip(cycle(states), self._environments, strict=False):
            if state is not None:
                yield self._deployment(new_id(), environment, project) | {"status": state, "finished_at": None}

    def steps(self) -> Iterator[Row]:
        for deployment, _, _ in self._deployments:
            for number in range(STEPS if deployment == self._with_steps else 1):
                row = {"organization_id": self.id, "deployment_id": deployment, "name": f"step {number}"}
                yield row | {"order": number, "status": "SUCCESS", "started_at": AT, "completed_at": AT}

    def runners(self) -> Iterator[Row]:
        for number in range(self._extras.large_extras):
            row = {"id": new_id() if number else self._runner, "organization_id": self.id, "pool_id": self._pool}
            yield row | {"name": f"runner {number}", "isolation": "uid", "key_sha256": new_id().bytes * 2}

    def people(self) -> Iterator[Row]:
        for number in range(self._extras.large_extras):
            person = new_id() if number else self._person
            row = {"id": person, "organization_id": self.id, "organization_role": "User", "display_name": "somebody"}
            yield row | {"sign_in_name": f"person {number}", "sign_in_key": str(person)}

    def log_lines(self) -> Iterator[Row]:
        for number in range(1, self._extras.large_log_lines + 1):
            row = {"deployment_id": self._with_steps, "step": "step 0", "number": number, "level": "info", "at": AT}
            yield row | {"message": f"line {number} of a log that is as long as a large plan of Terraform"}

    def audit_events(self) -> Iterator[Row]:
        for number in range(1, self._extras.large_audit_events + 1):
            row = {"chain": self.id, "organization_id": self.id, "seq": self.audit_head + number, "hash": bytes(32)}
            yield row | {"actor": "test", "action": "deployment.queued", "subject_kind": "deployment"}

    def api_keys(self) -> Iterator[Row]:
        for _ in range(3):
            yield {"organization_id": self.id, "api_key_id": f"rpk_{new_id()}", "organization_role": "User"}


def _insert_all(
    tx: Transaction, counts: dict[str, int], organizations: Sequence[_Organization], *, with_live: bool
) -> None:
    of = _Organization
    makers = [
        ("api_keys", of.api_keys),
        ("runner_pools", of.pools),
        ("projects", of.projects),
        ("templates", of.templates),
        ("template_projects", of.template_projects),
        ("credentials", of.credentials),
        ("credential_assignments", of.assignments),
        ("environments", of.environments),
        ("variables", of.variables),
        ("deployments", of.deployments),
        ("deployment_steps", of.steps),
        ("runners", of.runners),
        ("people", of.people),
        ("deployment_log_events", of.log_lines),
        ("audit_events", of.audit_events),
    ]
    if with_live:
        makers.append(("deployments", of.live_deployments))
    for table, maker in makers:
        _insert(tx, counts, table, chain.from_iterable(maker(item) for item in organizations))


def _insert(tx: Transaction, counts: dict[str, int], name: str, rows: Iterator[Row]) -> None:
    table = metadata.tables[name]
    whole = (_filled(table, row) for row in rows)
    while some := list(islice(whole, AT_ONCE)):
        tx.execute(table.insert(), some)
        counts[name] = counts.get(name, 0) + len(some)


def _filled(table: Table, row: Row) -> Row:
    """Add what the table demands and the row does not say."""
    demanded = (column for column in table.columns if not column.nullable and column.name not in row)
    return row | {column.name: _anything(column) for column in demanded}


def _anything(column: Column[Any]) -> Any:
    if column.primary_key:
        return new_id()
    if column.default is not None and column.default.is_scalar:
        return column.default.arg
    if isinstance(column.type, JSON):
        return {}
    if isinstance(column.type, UtcDateTime):
        return AT
    return {bool: False, int: 0, float: 0.0, str: "text", bytes: b""}[column.type.python_type]
