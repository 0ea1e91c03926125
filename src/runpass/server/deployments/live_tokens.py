"""Whether a token says what was minted, and the run that it was minted for goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from runpass.clock import unix_seconds
from runpass.ids import CredentialId, OrganizationId, RunLeaseId
from runpass.server.credentials.store import get_credential
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.vault_logins import identity_tokens, vault_logins
from runpass.server.deployments import lease_store
from runpass.server.deployments.asking import run_of
from runpass.server.issuer.subjects import is_subject
from runpass.server.tenancy.store import get_organization


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What is in the record of a token."""

    run_lease_id: RunLeaseId
    minted: Mapping[str, Any]
    """Claims of its own, as they were minted; None for one that it does not have."""


def goes_on(
    tx: Transaction, organization_id: OrganizationId, claims: Mapping[str, Any], shared_audience: str, now: datetime
) -> bool:
    """Whether a token with these claims, whose signature was checked, is of a run whose lease is held at this moment.

    Tokens of connection tests and sweepers are in no record: they belong to no run.

    SECURITY: `jti` alone proves nothing. It is no secret, and whoever stole a key would write that of a token which
    counts into one that says something else. So what a token says is compared with what was minted.
    """
    recorded = _of_job(tx, organization_id, claims["jti"]) or _of_login(
        tx, organization_id, claims["jti"], shared_audience
    )
    lease = None if recorded is None else lease_store.get_lease(tx, recorded.run_lease_id)
    if recorded is None or lease is None or lease.organization_id != organization_id:
        return False
    run = run_of(tx, lease, now)
    if run is None:
        return False
    deployment = run[0]
    minted = {
        "organizationId": str(deployment.organization_id),
        "projectId": str(deployment.project_id),
        "environmentId": str(deployment.environment_id),
        "templateId": str(deployment.template_id),
        "deploymentLogId": str(deployment.id),
        "runnerId": str(lease.runner_id),
        **recorded.minted,
    }
    if any(claims.get(name) != value for name, value in minted.items()):
        return False
    # The template of `sub` may have been changed since: any that fits the ids will do.
    organization = get_organization(tx, organization_id)
    is_plain = organization is not None and claims["sub"] == organization.oidc_sub
    return is_plain or is_subject(claims["sub"], organization_id, claims)


def _of_job(tx: Transaction, organization_id: OrganizationId, jti: str) -> _Recorded | None:
    this = (identity_tokens.c.organization_id == organization_id) & (identity_tokens.c.jti == jti)
    row = tx.execute(select(identity_tokens).where(this)).first()
    if row is None:
        return None
    minted = {"aud": row.audience, "exp": unix_seconds(row.expires_at), "credentialId": None}
    return _Recorded(RunLeaseId(row.run_lease_id), minted)


def _of_login(tx: Transaction, organization_id: OrganizationId, jti: str, shared_audience: str) -> _Recorded | None:
    """Give the record of a login's token. Its audience is its credential's: one that is gone lets nothing count."""
    this = (vault_logins.c.organization_id == organization_id) & (vault_logins.c.jti == jti)
    row = tx.execute(select(vault_logins.c.run_lease_id, vault_logins.c.credential_id).where(this)).first()
    credential = None if row is None else get_credential(tx, organization_id, CredentialId(row.credential_id))
    if row is None or credential is None:
        return None
    audience = credential.value.audience(shared_audience, credential.id)
    return _Recorded(RunLeaseId(row.run_lease_id), {"aud": audience, "credentialId": str(credential.id)})
