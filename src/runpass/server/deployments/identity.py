"""Minting for a run: the lease is checked and the audit record committed before the token leaves.

SECURITY: a token with `credentialId` is minted only for a credential that the run's project may use at this moment,
and only for the runner; the token that the job holds never carries the claim. That is what makes assignment a
boundary: a role that binds `credentialId` refuses the job's own token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from runpass.errors import Conflict, Forbidden, StaleLease, Unauthenticated
from runpass.ids import RunLeaseId
from runpass.observability.metrics import TOKENS_MINTED
from runpass.protocol.credentials import CredentialKind
from runpass.protocol.identity import ForCredential, ForJob, IdentityToken, Purpose
from runpass.protocol.run_lease import Phase
from runpass.secret import Secret
from runpass.server.access.refusals import Refusals
from runpass.server.audit import AuditEvent, record
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.rules import clear_text_refusal
from runpass.server.db.engine import Transaction
from runpass.server.deployments import lease_store
from runpass.server.deployments.asking import REFUSED, asking
from runpass.server.deployments.audiences import OwnAudiences, check_permitted, one_audience
from runpass.server.deployments.inputs import inputs_of
from runpass.server.deployments.model import Deployment, Inputs, Lease
from runpass.server.deployments.run_leases import (
    Holder,
    LeaseRules,
    credentials_for,
    has_identity,
    held,
    second_audience,
)
from runpass.server.deployments.token_store import note_minted
from runpass.server.deployments.vault_logins import intend
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.minting import Minted, Minter
from runpass.server.runners.model import Runner
from runpass.server.tenancy.identities import optional_claims_of, subject_of
from runpass.server.tenancy.model import Organization
from runpass.server.tenancy.store import get_organization

MAX_TOKENS = 1_000
"""Tokens of one run lease; a run that asks for more is not well."""
ON_DEMAND = "on-demand"
"""How the audit trail and the metrics call a token that a job asked for by itself."""


@dataclass(frozen=True, slots=True)
class _Token:
    """Which token is to be made."""

    audience: str
    credential: StoredCredential | None = None

    @property
    def credential_id(self) -> UUID | None:
        """Give the credential whose login it is for."""
        return self.credential.id if self.credential else None


@dataclass(frozen=True, slots=True)
class _Run:
    """The run that a token is for, and what it may use, at the moment of asking."""

    lease: Lease
    deployment: Deployment
    runner: Runner
    organization: Organization
    granted: Sequence[StoredCredential]
    inputs: Inputs


class Passport:
    """Mints workload identity tokens for runs."""

    def __init__(self, rules: LeaseRules, minter: Minter, *, own: OwnAudiences, lifetime: timedelta) -> None:
        self._rules = rules
        self._minter = minter
        self._own = own
        self._lifetime = lifetime
        self._refusals = Refusals(rules.database, rules.clock)

    def issue(self, holder: Holder, purpose: Purpose) -> IdentityToken:
        """Give a token for this purpose to the runner that holds the run's lease.

        Raises `StaleLease` without a live lease, `Forbidden` for a credential that is not assigned or permitted (any
        more), `Conflict` past the limit of a run. If the audit record cannot be written, there is no token.
        """
        try:
            with self._rules.database.read() as tx:
                lease, deployment = held(tx, holder, self._rules.clock.now(), for_change=False)
                run = self._run(tx, lease, deployment, holder.runner)
            return self._mint(run, self._wanted(run.granted, run.organization, purpose), purpose.kind)
        except (Forbidden, Conflict) as error:
            self._note(holder.runner, holder.lease_id, purpose.kind, error)
            raise

    def issue_on_demand(self, lease_id: RunLeaseId, bearer: Secret, asked: Sequence[str]) -> IdentityToken:
        """Give a token to the job itself, for the one audience that it asks for, or for the shared one.

        Raises `Unauthenticated` unless the bearer is that of a run that goes on, `InvalidInput` for what is no
        audience, `Forbidden` for one that the run may not have, `Conflict` past the limit of a run.

        SECURITY: never with `credentialId`, whatever the audience.
        """
        with self._rules.database.read() as tx:
            lease, deployment, runner = asking(tx, lease_id, bearer, self._rules.clock.now())
            run = self._run(tx, lease, deployment, runner)
        audience = one_audience(asked, self._own.shared)
        try:
            self._check_audience(run, audience)
            return self._mint(run, _Token(audience), ON_DEMAND)
        except StaleLease as error:
            raise Unauthenticated(REFUSED) from error
        except (Forbidden, Conflict) as error:
            self._note(runner, lease_id, ON_DEMAND, error)
            raise

    def _run(self, tx: Transaction, lease: Lease, deployment: Deployment, runner: Runner) -> _Run:
        organization = get_organization(tx, deployment.organization_id)
        if organization is None:
            raise StaleLease("the organization is gone")
        inputs = inputs_of(tx, self._rules.cipher, deployment)
        return _Run(lease, deployment, runner, organization, credentials_for(tx, deployment), inputs)

    def _mint(self, run: _Run, wanted: _Token, kind: str) -> IdentityToken:
        now = self._rules.clock.now()
        if run.lease.tokens_minted >= MAX_TOKENS:
            raise Conflict(f"this run has asked for {MAX_TOKENS} tokens already")
        claims = workload_claims(run.inputs, run.deployment.phase, run.runner, wanted.credential_id)
        optional = optional_claims_of(run.organization.policies)
        lifetime = min(self._lifetime, timedelta(seconds=max(run.deployment.timeout_seconds, 1)))
        subject, audience = subject_of(run.organization, claims), wanted.audience
        minter = self._minter.of(run.organization.issuer)
        minted = minter.mint(claims, subject=subject, audience=audience, lifetime=lifetime, optional=optional)
        with self._rules.database.write() as tx:
            if not lease_store.count_mint(tx, run.lease.id, now):
                raise StaleLease("the run lease ended while the token was made")
            record(tx, _event(now, run, minted, kind, wanted.credential_id))
            login_id = _note(tx, run, wanted, minted, now)
        TOKENS_MINTED.labels(kind).inc()
        return IdentityToken(
            token=minted.token,
            jti=minted.jti,
            audience=minted.audience,
            expires_at=minted.expires_at,
            issued_at=now,
            login_id=login_id,
        )

    def _check_audience(self, run: _Run, audience: str) -> None:
        if not has_identity(run.granted, run.organization):
            raise Forbidden("this run has no OIDC credential any more and the organization does not enable OIDC")
        vaults = (item for item in run.granted if item.kind is CredentialKind.VAULT_OIDC)
        assigned = [item.value.audience(self._own.shared, item.id) for item in vaults]
        check_permitted(audience, self._own, assigned, run.organization.policies.get("allowed_identity_audiences"))

    def _note(self, runner: Runner, lease_id: RunLeaseId, kind: str, error: Forbidden | Conflict) -> None:
        detail = {"code": error.code, "reason": error.message, "purpose": kind}
        action, subject, organization = "identity_token.refused", str(lease_id), runner.organization_id
        at = self._rules.clock.now()
        event = AuditEvent(at, runner.audit_name, action, "run_lease", subject, organization, detail)
        self._refusals.note_seldom(event, f"{runner.id} {error.code}")

    def _wanted(self, granted: Sequence[StoredCredential], organization: Organization, purpose: Purpose) -> _Token:
        match purpose:
            case ForCredential(credential_id=credential_id):
                return self._for_credential(granted, organization, credential_id)
            case ForJob(audience_format="v2"):
                audience = second_audience(granted)
                if audience is None:
                    raise Forbidden("this run has no credential with the token format v2")
                return _Token(audience)
            case ForJob():
                if not has_identity(granted, organization):
                    raise Forbidden("this run has no OIDC credential and the organization does not enable OIDC")
                return _Token(self._own.shared)

    def _for_credential(
        self, granted: Sequence[StoredCredential], organization: Organization, credential_id: UUID
    ) -> _Token:
        chosen = [item for item in granted if item.id == credential_id and item.kind is CredentialKind.VAULT_OIDC]
        if not chosen:
            raise Forbidden("this credential is not assigned to the run's project")
        refusal = clear_text_refusal(chosen, organization)
        if refusal is not None:
            raise Forbidden(refusal)
        return _Token(chosen[0].value.audience(self._own.shared, chosen[0].id), chosen[0])


def _note(tx: Transaction, run: _Run, wanted: _Token, minted: Minted, now: datetime) -> UUID | None:
    """Count what can come of a token before it leaves: a login, whose id is given, or whatever the job does with it."""
    if wanted.credential is not None:
        return intend(tx, run.lease, run.deployment, wanted.credential, minted.jti, now=now)
    note_minted(tx, run.lease, minted, now)
    return None


def workload_claims(inputs: Inputs, phase: Phase, runner: Runner, credential_id: UUID | None) -> WorkloadClaims:
    """Give the claims of what one lease of a run does."""
    run = inputs.run
    return WorkloadClaims(
        organization_id=str(run.organization_id),
        organization=str(run.organization_id),
        project_id=str(run.project_id),
        project_name=run.project_name,
        template_id=str(run.template_id),
        template_name=run.template_name,
        environment_id=str(run.environment_id),
        environment_name=run.environment_name,
        workspace_name=run.workspace_name,
        deployment_log_id=str(run.deployment_id),
        deployment_type=run.deployment_type,
        env0_tag=inputs.env0_tag,
        phase=phase.value,
        repository=run.repository,
        revision=run.revision,
        commit=inputs.commit,
        runner_id=str(runner.id),
        runner_pool=runner.pool,
        runner_isolation=runner.isolation.value,
        credential_id=str(credential_id) if credential_id else None,
    )


def _event(at: datetime, run: _Run, minted: Minted, kind: str, credential_id: UUID | None) -> AuditEvent:
    detail = {
        "jti": minted.jti,
        "kid": minted.kid,
        "audience": minted.audience,
        "purpose": kind,
        "expiresAt": minted.expires_at.isoformat(),
    }
    if credential_id is not None:
        detail["credentialId"] = str(credential_id)
    subject, organization = str(run.deployment.id), run.deployment.organization_id
    return AuditEvent(at, run.runner.audit_name, "identity_token.minted", "deployment", subject, organization, detail)
