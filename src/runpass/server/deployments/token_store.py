"""Identity tokens that jobs hold: kept until they have expired, because they log in wherever a role accepts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select

from runpass.ids import DeploymentId, OrganizationId, RunLeaseId, new_id
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.deployments import deployments, run_leases
from runpass.server.db.schema.tenancy import projects
from runpass.server.db.schema.vault_logins import identity_tokens
from runpass.server.deployments.model import Lease
from runpass.server.issuer.minting import Minted


@dataclass(frozen=True, slots=True)
class HeldToken:
    """An identity token that a job was given, as it may be named."""

    organization_id: OrganizationId
    deployment_id: DeploymentId
    run_lease_id: RunLeaseId
    jti: str
    audience: str
    minted_at: datetime
    expires_at: datetime


def note_minted(tx: Transaction, tokens: Sequence[tuple[Lease, Minted, datetime]]) -> None:
    """Keep that tokens were minted for the jobs of leases, each at its moment.

    To be called in the transaction of their audit records.
    """
    rows = [
        {
            "id": new_id(),
            "organization_id": lease.organization_id,
            "deployment_id": lease.deployment_id,
            "run_lease_id": lease.id,
            "jti": minted.jti,
            "audience": minted.audience,
            "minted_at": at,
            "expires_at": minted.expires_at,
        }
        for lease, minted, at in tokens
    ]
    if rows:
        tx.execute(identity_tokens.insert(), rows)


def tokens_of_ended_runs(
    tx: Transaction,
    organization_id: OrganizationId,
    visible: ColumnElement[bool],
    deployment_id: DeploymentId | None,
    *,
    expires_after: datetime,
    limit: int,
) -> list[HeldToken]:
    """Give tokens that were minted for jobs in visible projects, have not expired, and whose lease has ended."""
    seen = select(projects.c.id).where(projects.c.organization_id == organization_id, visible)
    query = (
        select(identity_tokens)
        .join(run_leases, run_leases.c.id == identity_tokens.c.run_lease_id)
        .join(deployments, deployments.c.id == identity_tokens.c.deployment_id)
        .where(identity_tokens.c.organization_id == organization_id, identity_tokens.c.expires_at > expires_after)
        .where(run_leases.c.ended_at.is_not(None), deployments.c.project_id.in_(seen))
    )
    if deployment_id is not None:
        query = query.where(identity_tokens.c.deployment_id == deployment_id)
    return [_token(row) for row in tx.execute(query.order_by(identity_tokens.c.expires_at).limit(limit))]


def forget_expired(tx: Transaction, before: datetime) -> None:
    """Forget the tokens that expired before then."""
    tx.execute(delete(identity_tokens).where(identity_tokens.c.expires_at < before))


def _token(row: Row[Any]) -> HeldToken:
    return HeldToken(
        organization_id=row.organization_id,
        deployment_id=row.deployment_id,
        run_lease_id=row.run_lease_id,
        jti=row.jti,
        audience=row.audience,
        minted_at=row.minted_at,
        expires_at=row.expires_at,
    )
