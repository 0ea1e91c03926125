"""Connection tests: asked for by whoever manages credentials, made by a runner, told as the runner saw it.

SECURITY: a test's login token is that of a run of the project, so it is made only for a credential that the project may
use at that moment, only for a runner of the project's organization, and lives for `TOKEN_LIFETIME`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from runpass.clock import Clock
from runpass.errors import InvalidInput, StaleLease, TooManyRequests
from runpass.ids import CredentialId, OrganizationId, PoolId, VaultTaskId, new_id
from runpass.observability.metrics import TOKENS_MINTED
from runpass.protocol.credentials import CredentialKind
from runpass.protocol.run_lease import Phase
from runpass.protocol.vault_tasks import ConnectionTest, TestReport
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.access.bearers import Bearer, digest, matches, new_bearer
from runpass.server.audit import AuditEvent, hold_chains, record
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.rules import clear_text_refusal
from runpass.server.credentials.sealing import grants
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, Transaction
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.keys import SHARED, IssuerScope
from runpass.server.issuer.minting import Minted, Minter
from runpass.server.runners.model import Runner
from runpass.server.runners.store import bind_to_project, hold_runner
from runpass.server.tenancy.identities import optional_claims_of, subject_of
from runpass.server.tenancy.model import Organization, Project
from runpass.server.tenancy.store import get_organization, get_project
from runpass.server.vault_tasks import store
from runpass.server.vault_tasks.model import TAKES, VaultTask

TOKEN_LIFETIME: Final = timedelta(minutes=2)
MOST_RECENT: Final = 60
RECENT: Final = timedelta(minutes=10)
"""An organization may ask for `MOST_RECENT` tests in this time."""
KEPT: Final = timedelta(days=30)
NAME: Final = "connection-test"
"""Stands in the token where a run has the names of its environment, template and workspace."""


@dataclass(frozen=True, slots=True)
class TestRules:
    """What connection tests need: the parts of the server, and what identity tokens are made with."""

    __test__ = False  # pytest: this is no test
    database: Database
    cipher: Cipher
    clock: Clock
    minter: Minter
    audience: str
    addresses: IssuerAddresses
    issuer: IssuerScope = SHARED
    """Whose tokens `minter` makes."""

    def of(self, organization_id: OrganizationId) -> "TestRules":
        """Give the same with the issuer of an organization's tokens at this moment.

        Not to be called in a transaction: the issuer's keys may have to be read, or made.
        """
        with self.database.read() as tx:
            organization = get_organization(tx, organization_id)
        issuer = SHARED if organization is None else organization.issuer
        return replace(self, issuer=issuer, minter=self.minter.of(issuer))


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to be tested."""

    project: Project
    credential_id: CredentialId
    pool_id: PoolId
    paths: tuple[str, ...]


def queue_test(tx: Transaction, asked: Asked, actor: Actor, clock: Clock) -> VaultTask:
    """Queue a connection test.

    Raises `InvalidInput` for a credential that the project's runs would not get, `TooManyRequests` for one too many.
    """
    now, project = clock.now(), asked.project
    if _usable(tx, project, asked.credential_id) is None:
        sentence = "must name a Vault OIDC credential that is assigned to this project, or to the nearest one above it"
        raise InvalidInput.of("credentialId", sentence)
    if store.count_since(tx, project.organization_id, now - RECENT) >= MOST_RECENT:
        raise TooManyRequests(
            f"this organization has asked for {MOST_RECENT} connection tests in {RECENT.seconds // 60} minutes",
            retry_after_seconds=60,
        )
    task = VaultTask(
        id=VaultTaskId(new_id()),
        organization_id=project.organization_id,
        pool_id=asked.pool_id,
        project_id=project.id,
        credential_id=asked.credential_id,
        runner_id=None,
        paths=asked.paths,
        checks=None,
        secret_sha256=None,
        requested_by=actor.audit_name,
        created_at=now,
        taken_at=None,
        finished_at=None,
    )
    store.forget_before(tx, project.organization_id, now - KEPT)
    store.insert_task(tx, task)
    detail = {"credentialId": str(task.credential_id), "projectId": str(project.id)}
    subject, organization = str(task.id), task.organization_id
    record(tx, AuditEvent(now, actor.audit_name, "connection_test.queued", "vault_task", subject, organization, detail))
    return task


def take_test(rules: TestRules, runner: Runner) -> ConnectionTest | None:
    """Give the next test of the runner's pool with its tokens; nothing if there is none that may still be made."""
    now, secret = rules.clock.now(), new_bearer(Bearer.TASK)
    rules = rules.of(runner.organization_id)
    with rules.database.write() as tx:
        known = hold_runner(tx, runner.id, now)
        if known is None:
            return None
        task = store.take_next(tx, (known.pool_id, known.only_project_id), known.id, digest(secret), now)
        if task is None:
            return None
        hold_chains(tx, [task.organization_id])  # what is read from here on is no older than any event before ours
        project = get_project(tx, task.organization_id, task.project_id)
        organization = get_organization(tx, task.organization_id)
        credential = _usable(tx, project, task.credential_id) if project else None
        if project is None or organization is None or credential is None:
            return None  # it was taken away meanwhile: the test ends as lost
        if clear_text_refusal([credential], organization) is not None:
            return None
        bind_to_project(tx, known, project.id)
        expired, login = _tokens(rules, task, credential, organization, project, known)
        for minted in (expired, login):
            record(tx, _minted(task, known, minted, now))
        (grant,) = grants(rules.cipher, [credential])
    TOKENS_MINTED.labels("connection-test").inc()
    return ConnectionTest(
        task_id=task.id,
        task_secret=secret,
        expires_at=now + TAKES,
        grant=grant,
        issuer=rules.minter.issuer_url,
        jwks_url=rules.addresses.jwks_url(rules.issuer),
        audience=login.audience,
        paths=task.paths,
        expired_token=expired.token,
        login_token=login.token,
    )


def finish_test(rules: TestRules, runner: Runner, task_id: VaultTaskId, secret: Secret, report: TestReport) -> None:
    """Keep what a runner found. Raises `StaleLease` with one sentence unless it holds the task."""
    now = rules.clock.now()
    with rules.database.write() as tx:
        task = store.get_task(tx, runner.organization_id, task_id)
        held = (
            task is not None
            and task.secret_sha256 is not None
            and task.runner_id == runner.id
            and matches(secret, task.secret_sha256)
            and store.finish_task(tx, task.id, report.checks, now)
        )
        if not held:
            raise StaleLease("this task is not held by the caller, or no longer")


def _usable(tx: Transaction, project: Project, credential_id: CredentialId) -> StoredCredential | None:
    """Give the credential if a run of the project would be given it now."""
    found = (item for item in credentials_of(tx, project.path) if item.kind is CredentialKind.VAULT_OIDC)
    return next((item for item in found if item.id == credential_id), None)


def _tokens(  # noqa: PLR0917 -- what the claims are made of
    rules: TestRules,
    task: VaultTask,
    credential: StoredCredential,
    organization: Organization,
    project: Project,
    runner: Runner,
) -> tuple[Minted, Minted]:
    claims = WorkloadClaims(
        organization_id=str(organization.id),
        organization=str(organization.id),
        project_id=str(project.id),
        project_name=project.name,
        template_id=str(task.id),
        template_name=NAME,
        environment_id=str(task.id),
        environment_name=NAME,
        workspace_name=NAME,
        deployment_log_id=str(task.id),
        deployment_type=NAME,
        phase=Phase.PLAN.value,
        runner_id=str(runner.id),
        runner_pool=runner.pool,
        runner_isolation=runner.isolation.value,
        credential_id=str(credential.id),
    )
    audience = credential.value.audience(rules.audience, credential.id)
    minter, subject = rules.minter, subject_of(organization, claims)
    optional = optional_claims_of(organization.policies)
    return (
        minter.mint_expired(claims, subject=subject, audience=audience, optional=optional),
        minter.mint(claims, subject=subject, audience=audience, lifetime=TOKEN_LIFETIME, optional=optional),
    )


def _minted(task: VaultTask, runner: Runner, minted: Minted, at: datetime) -> AuditEvent:
    detail = {
        "jti": minted.jti,
        "kid": minted.kid,
        "audience": minted.audience,
        "expiresAt": minted.expires_at.isoformat(),
        "credentialId": str(task.credential_id),
    }
    subject, organization = str(task.id), task.organization_id
    return AuditEvent(at, runner.audit_name, "identity_token.minted", "vault_task", subject, organization, detail)
