"""Minting for a run: the lease is checked and the audit record committed before the token leaves.

SECURITY: a token with `credentialId` is minted only for a credential that the run's project may use at this moment,
and only for the runner; the token that the job holds never carries the claim. That is what makes assignment a
boundary: a role that binds `credentialId` refuses the job's own token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from runpass.errors import Conflict, Forbidden, StaleLease
from runpass.observability.metrics import TOKENS_MINTED
from runpass.protocol.credentials import CredentialKind
from runpass.protocol.identity import ForCredential, ForJob, IdentityToken, Purpose
from runpass.protocol.run_lease import Phase
from runpass.server.access.refusals import Refusals
from runpass.server.audit import AuditEvent, record
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.rules import clear_text_refusal
from runpass.server.db.engine import Transaction
from runpass.server.deployments import lease_store
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
from runpass.server.tenancy.model import Organization
from runpass.server.tenancy.store import get_organization

MAX_TOKENS = 1_000
"""Tokens of one run lease; a run that asks for more is not well."""


@dataclass(frozen=True, slots=True)
class _Token:
    """Which token is to be made."""

    audience: str
    credential: StoredCredential | None = None

    @property
    def credential_id(self) -> UUID | None:
        """Give the credential whose login it is for."""
        return self.credential.id if self.credential else None


class Passport:
    """Mints workload identity tokens for runs."""

    def __init__(self, rules: LeaseRules, minter: Minter, *, audience: str, lifetime: timedelta) -> None:
        self._rules = rules
        self._minter = minter
        self._audience = audience
        self._lifetime = lifetime
        self._refusals = Refusals(rules.database, rules.clock)

    def issue(self, holder: Holder, purpose: Purpose) -> IdentityToken:
        """Give a token for this purpose.

        Raises `StaleLease` without a live lease, `Forbidden` for a credential that is not assigned or permitted (any
        more), `Conflict` past the limit of a run. If the audit record cannot be written, there is no token.
        """
        try:
            return self._issue(holder, purpose)
        except (Forbidden, Conflict) as error:
            event = _refused(self._rules.clock.now(), holder, purpose, error)
            self._refusals.note_seldom(event, f"{holder.runner.id} {error.code}")
            raise

    def _issue(self, holder: Holder, purpose: Purpose) -> IdentityToken:
        now = self._rules.clock.now()
        with self._rules.database.read() as tx:
            lease, deployment = held(tx, holder, now, for_change=False)
            organization = get_organization(tx, deployment.organization_id)
            if organization is None:
                raise StaleLease("the organization is gone")
            if lease.tokens_minted >= MAX_TOKENS:
                raise Conflict(f"this run has asked for {MAX_TOKENS} tokens already")
            wanted = self._wanted(credentials_for(tx, deployment), organization, purpose)
            inputs = inputs_of(tx, self._rules.cipher, deployment)
        claims = workload_claims(inputs, deployment.phase, holder.runner, wanted.credential_id)
        lifetime = min(self._lifetime, timedelta(seconds=max(deployment.timeout_seconds, 1)))
        minted = self._minter.mint(claims, subject=organization.oidc_sub, audience=wanted.audience, lifetime=lifetime)
        with self._rules.database.write() as tx:
            if not lease_store.count_mint(tx, lease.id, now):
                raise StaleLease("the run lease ended while the token was made")
            record(tx, _event(now, holder.runner, deployment, minted, wanted.credential_id))
            login_id = _note(tx, lease, deployment, wanted, minted, now)
        TOKENS_MINTED.labels(purpose.kind).inc()
        return IdentityToken(
            token=minted.token,
            jti=minted.jti,
            audience=minted.audience,
            expires_at=minted.expires_at,
            login_id=login_id,
        )

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
                return _Token(self._audience)

    def _for_credential(
        self, granted: Sequence[StoredCredential], organization: Organization, credential_id: UUID
    ) -> _Token:
        chosen = [item for item in granted if item.id == credential_id and item.kind is CredentialKind.VAULT_OIDC]
        if not chosen:
            raise Forbidden("this credential is not assigned to the run's project")
        refusal = clear_text_refusal(chosen, organization)
        if refusal is not None:
            raise Forbidden(refusal)
        return _Token(chosen[0].value.audience(self._audience, chosen[0].id), chosen[0])


def _note(  # noqa: PLR0917 -- what is known of the token
    tx: Transaction, lease: Lease, deployment: Deployment, wanted: _Token, minted: Minted, now: datetime
) -> UUID | None:
    """Count what can come of a token before it leaves: a login, whose id is given, or whatever the job does with it."""
    if wanted.credential is not None:
        return intend(tx, lease, deployment, wanted.credential, minted.jti, now=now)
    note_minted(tx, lease, minted, now)
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
        deployer_email=run.deployer_email,
        env0_tag=inputs.env0_tag,
        phase=phase.value,
        repository=run.repository,
        revision=run.revision,
        runner_id=str(runner.id),
        runner_pool=runner.pool,
        runner_isolation=runner.isolation.value,
        credential_id=str(credential_id) if credential_id else None,
    )


def _refused(at: datetime, holder: Holder, purpose: Purpose, error: Forbidden | Conflict) -> AuditEvent:
    runner, lease = holder.runner, str(holder.lease_id)
    detail = {"code": error.code, "reason": error.message, "purpose": purpose.kind}
    organization = runner.organization_id
    return AuditEvent(at, runner.audit_name, "identity_token.refused", "run_lease", lease, organization, detail)


def _event(
    at: datetime, runner: Runner, deployment: Deployment, minted: Minted, credential_id: UUID | None
) -> AuditEvent:
    detail = {
        "jti": minted.jti,
        "kid": minted.kid,
        "audience": minted.audience,
        "expiresAt": minted.expires_at.isoformat(),
    }
    if credential_id is not None:
        detail["credentialId"] = str(credential_id)
    subject = str(deployment.id)
    organization = deployment.organization_id
    return AuditEvent(at, runner.audit_name, "identity_token.minted", "deployment", subject, organization, detail)
