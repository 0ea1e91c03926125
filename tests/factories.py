"""Making things for tests: a clock that stands still until it is moved, and tenants with whatever a test needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from runpass.ids import (
    AssignmentId,
    CredentialId,
    EnvironmentId,
    OrganizationId,
    ProjectId,
    RunLeaseId,
    TemplateId,
    new_id,
)
from runpass.protocol.credentials import Credential, CredentialKind, VaultOidc
from runpass.protocol.registration import Isolation, Registration
from runpass.protocol.run_lease import RunLease
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.credentials import store as credential_store
from runpass.server.credentials.model import Assignment, StoredCredential
from runpass.server.credentials.sealing import seal
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database
from runpass.server.deployments.model import Deployment, DeployRequest
from runpass.server.deployments.queue import Queueing, queue_deployment
from runpass.server.deployments.run_leases import Holder, LeaseRules
from runpass.server.runners.joining import Joined, JoinTokenRequest, create_join_token, register
from runpass.server.runners.model import DEFAULT_POOL, Runner
from runpass.server.runners.store import pool_id
from runpass.server.templates import store as template_store
from runpass.server.templates.model import GitSource, ShellSource, Template, TemplateType
from runpass.server.tenancy import environment_store
from runpass.server.tenancy import store as tenancy_store
from runpass.server.tenancy.founding import found_organization
from runpass.server.tenancy.model import Environment, EnvironmentStatus, Project
from runpass.server.variables.model import ConfigurationVariable, VariableScope
from runpass.server.variables.saving import Wanted, save
from runpass.server.vault_tasks.connection_tests import Asked, queue_test
from runpass.server.vault_tasks.model import VaultTask

MASTER_KEY = bytes(range(32))
LEASE = timedelta(seconds=30)
RUN_TIMEOUT_SECONDS = 600.0


class MovingClock:
    """A clock that stands still until `advance`."""

    def __init__(self, start: datetime = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def advance(self, by: timedelta) -> None:
        self._now += by


def vault_oidc(**changes: Any) -> VaultOidc:
    value = {
        "address": "https://vault.example.com:8200",
        "version": "1.18.0",
        "roleName": "deploy",
        "jwtAuthBackendPath": "jwt",
    }
    return VaultOidc.model_validate(value | changes)


@dataclass(frozen=True)
class World:
    """The parts of a server that a test works on."""

    database: Database
    cipher: Cipher
    clock: MovingClock

    @property
    def rules(self) -> LeaseRules:
        return LeaseRules(self.database, self.cipher, self.clock, LEASE)

    def tenant(self, name: str = "acme") -> "Tenant":
        return Tenant(self, name)


class Tenant:
    """An organization, and makers of everything that can belong to it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        founded = found_organization(world.database, name, world.clock)
        self.organization = founded.organization
        self.id = founded.organization.id
        self.api_key, self.api_secret = founded.admin_key.key, founded.admin_key.secret
        self.admin = Actor(self.api_key.id, self.api_key.name, self.id, self.api_key.organization_role)

    @classmethod
    def of(cls, world: World, organization_id: OrganizationId, admin: Actor) -> "Tenant":
        """An organization that is there already."""
        found = cls.__new__(cls)
        found.world, found.id, found.admin = world, organization_id, admin
        return found

    def set_organization(self, **columns: Any) -> None:
        """Change columns of the organization as it is now."""
        with self.world.database.write() as tx:
            organization = tenancy_store.get_organization(tx, self.id)
            assert organization is not None
            tenancy_store.update_organization(tx, organization, columns, self.world.clock.now())

    def project(self, name: str = "project", parent: Project | None = None) -> Project:
        project_id, now = ProjectId(new_id()), self.world.clock.now()
        project = Project(
            id=project_id,
            organization_id=self.id,
            parent_project_id=parent.id if parent else None,
            name=name,
            description="what it is for",
            tags=("one", "two"),
            is_archived=False,
            created_by="test",
            created_at=now,
            updated_at=now,
            path=(*(parent.path if parent else ()), project_id),
        )
        with self.world.database.write() as tx:
            tenancy_store.insert_project(tx, project)
        return project

    def template(
        self,
        *projects: Project,
        name: str = "template",
        commands: Sequence[str] = ("true",),
        terraform: GitSource | None = None,
    ) -> Template:
        now = self.world.clock.now()
        template = Template(
            id=TemplateId(new_id()),
            organization_id=self.id,
            name=name,
            description="",
            type=TemplateType.TERRAFORM if terraform else TemplateType.SHELL,
            source=terraform or ShellSource(commands=tuple(commands)),
            is_deleted=False,
            project_ids=(),
            created_by="test",
            created_at=now,
            updated_at=now,
        )
        with self.world.database.write() as tx:
            template_store.insert_template(tx, template)
            for project in projects:
                template_store.attach(tx, template, project.id)
        return template

    def environment(self, project: Project, template: Template | None, name: str = "environment") -> Environment:
        now = self.world.clock.now()
        environment = Environment(
            id=EnvironmentId(new_id()),
            organization_id=self.id,
            project_id=project.id,
            template_id=template.id if template else None,
            name=name,
            workspace_name=name,
            status=EnvironmentStatus.CREATED,
            is_archived=False,
            settings={},
            created_by="test",
            created_at=now,
            updated_at=now,
        )
        with self.world.database.write() as tx:
            environment_store.insert_environment(tx, environment)
        return environment

    def somewhere_to_deploy(self) -> tuple[Project, Environment]:
        """A project, and an environment of it with a template."""
        project = self.project()
        return project, self.environment(project, self.template(project))

    def credential(self, project: Project | None = None, name: str = "vault", **value: Any) -> StoredCredential:
        return self.credential_of(vault_oidc(**value), CredentialKind.VAULT_OIDC, project, name)

    def credential_of(
        self, value: Credential, kind: CredentialKind, project: Project | None = None, name: str = "other"
    ) -> StoredCredential:
        now, credential_id = self.world.clock.now(), CredentialId(new_id())
        credential = StoredCredential(
            id=credential_id,
            organization_id=self.id,
            project_id=project.id if project else None,
            name=name,
            kind=kind,
            value=seal(self.world.cipher, credential_id, self.id, value),
            created_by="test",
            created_at=now,
            updated_at=now,
        )
        with self.world.database.write() as tx:
            credential_store.insert_credential(tx, credential)
        return credential

    def assign(self, credential: StoredCredential, project: Project) -> Assignment:
        made_at = self.world.clock.now()
        assignment = Assignment(AssignmentId(new_id()), self.id, credential.id, project.id, "test", made_at)
        with self.world.database.write() as tx:
            credential_store.insert_assignment(tx, assignment)
        return assignment

    def variable(self, scope: VariableScope, place: UUID, name: str, value: str, **more: Any) -> ConfigurationVariable:
        wanted = Wanted(scope, place, name, Secret(value), **more)
        with self.world.database.write() as tx:
            return save(tx, self.world.cipher, self.id, wanted, by="test", clock=self.world.clock)

    def join_token(self, pool: str = DEFAULT_POOL, uses: int = 1, lifetime: timedelta = timedelta(hours=1)) -> Secret:
        with self.world.database.write() as tx:
            wanted = JoinTokenRequest(self.id, pool, uses, lifetime)
            return create_join_token(tx, wanted, by="test", clock=self.world.clock).token

    def join(self, isolation: Isolation = Isolation.UID, capacity: int = 1, pool: str = DEFAULT_POOL) -> Joined:
        registration = Registration(name="runner", version="1", isolation=isolation, capacity=capacity)
        return register(self.world.database, self.join_token(pool), registration, self.world.clock)

    def runner(self, isolation: Isolation = Isolation.UID, capacity: int = 1, pool: str = DEFAULT_POOL) -> Runner:
        return self.join(isolation, capacity, pool).runner

    def connection_test(self, credential: StoredCredential, project: Project, *paths: str) -> VaultTask:
        now = self.world.clock.now()
        with self.world.database.write() as tx:
            asked = Asked(project, credential.id, pool_id(tx, self.id, DEFAULT_POOL, now), paths)
            return queue_test(tx, asked, self.admin, self.world.clock)

    def queue(
        self, environment: Environment, wanted: DeployRequest | None = None, by: Actor | None = None
    ) -> Deployment:
        how = Queueing(by or self.admin, self.world.cipher, self.world.clock, RUN_TIMEOUT_SECONDS)
        with self.world.database.write() as tx:
            project = tenancy_store.get_project(tx, self.id, environment.project_id)
            assert project is not None
            return queue_deployment(tx, how, environment, project, wanted or DeployRequest())


def holder(runner: Runner, lease: RunLease) -> Holder:
    """What the runner presents that took this lease."""
    return Holder(runner, RunLeaseId(lease.lease_id), lease.lease_secret, lease.fencing_token)
