"""Minting for a run: the lease is checked and the audit record committed before the token leaves.

SECURITY: a token with `credentialId` is minted only for a credential that the run's project may use at this moment,
and only for the runner; the token that the job holds never carries the claim. That is what makes assignment a
boundary: a role that binds `credentialId` refuses the job's own token.
"""

from datetime import datetime, timedelta
from uuid import UUID

from runpass.errors import Conflict, Forbidden, StaleLease
from runpass.observability.metrics import TOKENS_MINTED
from runpass.protocol.identity import ForCredential, ForJob, IdentityToken, Purpose
from runpass.server.audit import AuditEvent, record
from runpass.server.credentials.rules import clear_text_refusal
from runpass.server.db.engine import Transaction
from runpass.server.deployments import lease_store
from runpass.server.deployments.model import Deployment, DeploymentType, Inputs, Lease
from runpass.server.deployments.run_leases import Holder, LeaseRules, credentials_for, held, inputs_of
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.minting import Minted, Minter
from runpass.server.runners.model import Runner
from runpass.server.tenancy.store import get_organization

MAX_TOKENS = 1_000
"""Tokens of one run lease; a run that asks for more is not well."""

PHASES = {DeploymentType.DEPLOY: "apply"}


class Passport:
    """Mints workload identity tokens for runs."""

    def __init__(self, rules: LeaseRules, minter: Minter, *, audience: str, lifetime: timedelta) -> None:
        self._rules = rules
        self._minter = minter
        self._audience = audience
        self._lifetime = lifetime

    def issue(self, holder: Holder, purpose: Purpose) -> IdentityToken:
        """Give a token for this purpose.

        Raises `StaleLease` without a live lease, `Forbidden` for a credential that is not assigned or permitted (any
        more), `Conflict` past the limit of a run. If the audit record cannot be written, there is no token.
        """
        now = self._rules.clock.now()
        with self._rules.database.read() as tx:
            lease, deployment = held(tx, holder, now, for_change=False)
            credential_id = self._check(tx, lease, deployment, purpose)
            organization = get_organization(tx, deployment.organization_id)
        if organization is None:
            raise StaleLease("the organization is gone")
        claims = workload_claims(inputs_of(self._rules.cipher, deployment), holder.runner, credential_id)
        lifetime = min(self._lifetime, timedelta(seconds=max(deployment.timeout_seconds, 1)))
        minted = self._minter.mint(claims, subject=organization.oidc_sub, audience=self._audience, lifetime=lifetime)
        with self._rules.database.write() as tx:
            if not lease_store.count_mint(tx, lease.id, now):
                raise StaleLease("the run lease ended while the token was made")
            record(tx, _event(now, holder.runner, deployment, minted, credential_id))
        TOKENS_MINTED.labels(purpose.kind).inc()
        return IdentityToken(token=minted.token, jti=minted.jti, audience=minted.audience, expires_at=minted.expires_at)

    def _check(self, tx: Transaction, lease: Lease, deployment: Deployment, purpose: Purpose) -> UUID | None:
        if lease.tokens_minted >= MAX_TOKENS:
            raise Conflict(f"this run has asked for {MAX_TOKENS} tokens already")
        granted = credentials_for(tx, deployment)
        match purpose:
            case ForCredential(credential_id=wanted):
                chosen = [item for item in granted if item.id == wanted]
                if not chosen:
                    raise Forbidden("this credential is not assigned to the run's project")
                organization = get_organization(tx, deployment.organization_id)
                refusal = clear_text_refusal(chosen, organization)
                if refusal is not None:
                    raise Forbidden(refusal)
                return wanted
            case ForJob():
                organization = get_organization(tx, deployment.organization_id)
                if not granted and not (organization and organization.enable_oidc):
                    raise Forbidden("this run has no OIDC credential and the organization does not enable OIDC")
                return None


def workload_claims(inputs: Inputs, runner: Runner, credential_id: UUID | None) -> WorkloadClaims:
    """Give the claims of a run."""
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
        phase=PHASES[DeploymentType(run.deployment_type)],
        revision=run.revision,
        runner_id=str(runner.id),
        runner_pool=runner.pool,
        runner_isolation=runner.isolation.value,
        credential_id=str(credential_id) if credential_id else None,
    )


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
