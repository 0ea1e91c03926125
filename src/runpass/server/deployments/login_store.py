"""Every query on logins at Vaults."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select, true, update

from runpass.ids import (
    CredentialId,
    DeploymentId,
    OrganizationId,
    PoolId,
    ProjectId,
    RunLeaseId,
    RunnerId,
    VaultLoginId,
)
from runpass.protocol.sweeps import SweepResult
from runpass.protocol.vault_logins import LoginEnd
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.tenancy import projects
from runpass.server.db.schema.vault_logins import vault_logins
from runpass.server.deployments.login_model import Given, StoredLogin
from runpass.server.deployments.model import Deployment

_OPEN = vault_logins.c.settled_at.is_(None)


def insert_login(tx: Transaction, login: StoredLogin) -> None:
    """Store a login that is about to be made."""
    first = login.first_ttl
    tx.execute(
        vault_logins.insert().values(
            id=login.id,
            organization_id=login.organization_id,
            project_id=login.project_id,
            environment_id=login.environment_id,
            pool_id=login.pool_id,
            deployment_id=login.deployment_id,
            run_lease_id=login.run_lease_id,
            credential_id=login.credential_id,
            credential_name=login.credential_name,
            address=login.address,
            namespace=login.namespace,
            mount=login.mount,
            role_name=login.role_name,
            jti=login.jti,
            intended_at=login.intended_at,
            first_ttl_seconds=None if first is None else int(first.total_seconds()),
            kid=login.kid,
            claims=login.claims,
        )
    )


def logins_of_lease(tx: Transaction, lease_id: RunLeaseId) -> list[StoredLogin]:
    """Give the logins of a run lease that may still have a token; nobody else changes them until we are done."""
    mine = vault_logins.c.run_lease_id == lease_id
    rows = tx.execute(select(vault_logins).where(mine).order_by(vault_logins.c.id).with_for_update())
    return [_login(row) for row in rows if row.settled_at is None]


def get_login(tx: Transaction, organization_id: OrganizationId, login_id: VaultLoginId) -> StoredLogin | None:
    """Give a login of this organization, and keep everybody else from changing it."""
    mine = (vault_logins.c.id == login_id) & (vault_logins.c.organization_id == organization_id)
    row = tx.execute(select(vault_logins).where(mine).with_for_update()).one_or_none()
    return None if row is None else _login(row)


def save_given(tx: Transaction, login_id: VaultLoginId, given: Given | None, now: datetime) -> None:
    """Keep what a login gave; with nothing, no token can come of it any more."""
    values: dict[str, Any] = {"gave_token": given is not None, "reported_at": now}
    if given is None:
        values["settled_at"] = now
    else:
        values["accessor_sealed"] = given.accessor_sealed
        values["ttl_seconds"] = int(given.ttl.total_seconds())
        values["renewable"] = given.renewable
        values["reported_at"] = given.reported_at
        values["policies"] = None if given.policies is None else list(given.policies)
        values["renewals"] = given.renewals
        values["lives_until"] = given.lives_until
    tx.execute(update(vault_logins).where(vault_logins.c.id == login_id).values(**values))


def save_end(tx: Transaction, login: StoredLogin, *, is_settled: bool, now: datetime) -> None:
    """Keep how a login of a lease that ended stands: what its runner said, how long it may last, when to sweep it."""
    values = {
        "ended": login.ended.value if login.ended else None,
        "lease_ended_at": login.lease_ended_at,
        "until": login.until,
        "settled_at": now if is_settled else None,
        "sweep_after": login.sweep_after,
    }
    tx.execute(update(vault_logins).where(vault_logins.c.id == login.id).values(**values))


def take_sweep(
    tx: Transaction,
    among: tuple[PoolId, ProjectId | None],
    now: datetime,
    again_at: Callable[[int], datetime],
    to: tuple[RunnerId, bytes],
) -> StoredLogin | None:
    """Give the login of a pool, or of one project in it, whose token is to be swept first.

    Nobody else gets it before `again_at`, a function of how often it was given out before. `to` is the runner, and the
    digest of its secret for this task.
    """
    (pool_id, project_id), (runner_id, secret_sha256) = among, to
    due = (vault_logins.c.pool_id == pool_id) & (vault_logins.c.sweep_after <= now)
    query = select(vault_logins.c.id, vault_logins.c.sweeps).where(
        due, or_(vault_logins.c.until.is_(None), vault_logins.c.until > now)
    )
    if project_id is not None:
        query = query.where(vault_logins.c.project_id == project_id)
    first = query.order_by(vault_logins.c.sweep_after).limit(1).with_for_update(skip_locked=True)
    chosen = tx.execute(first).one_or_none()
    if chosen is None:
        return None
    values = {
        "sweep_after": again_at(chosen.sweeps),
        "sweeps": vault_logins.c.sweeps + 1,
        "sweep_secret_sha256": secret_sha256,
        "sweep_runner_id": runner_id,
    }
    change = update(vault_logins).where(vault_logins.c.id == chosen.id).values(**values).returning(*vault_logins.c)
    return _login(tx.execute(change).one())


def save_sweep(tx: Transaction, login: StoredLogin, *, is_settled: bool, now: datetime) -> None:
    """Keep what came of sweeping a token: the task is over, and given out again at the login's `sweep_after`."""
    values = {
        "swept": login.swept.value if login.swept else None,
        "swept_at": login.swept_at,
        "sweep_said": login.sweep_said,
        "sweep_hint": login.sweep_hint,
        "sweep_secret_sha256": None,
        "sweep_after": login.sweep_after,
        "settled_at": now if is_settled else None,
        "until": login.until,
    }
    tx.execute(update(vault_logins).where(vault_logins.c.id == login.id).values(**values))


def pools_with_sweeps(tx: Transaction, now: datetime) -> set[PoolId]:
    """Give the pools that have a token to be swept now."""
    due = vault_logins.c.sweep_after.is_not(None) & (vault_logins.c.sweep_after <= now)
    return {PoolId(pool) for pool in tx.execute(select(vault_logins.c.pool_id).where(due).distinct()).scalars()}


def settle_expired(tx: Transaction, now: datetime) -> int:
    """Settle the logins whose token must have expired by now; give how many there were."""
    past = _OPEN & (vault_logins.c.until <= now)
    return int(tx.execute(update(vault_logins).where(past).values(settled_at=now, sweep_after=None)).rowcount)


def count_outstanding(tx: Transaction) -> tuple[int, int]:
    """Count the logins of ended runs that are known to have left a token, and those of which nobody knows."""
    ended = _OPEN & vault_logins.c.lease_ended_at.is_not(None)
    believed = vault_logins.c.gave_token.is_(true()) & (func.coalesce(vault_logins.c.swept, "") != SweepResult.NOT_OURS)
    whole = select(func.count(), func.count().filter(believed)).select_from(vault_logins).where(ended)
    total, known = tx.execute(whole).one()
    return known, total - known


def open_logins(
    tx: Transaction,
    organization_id: OrganizationId,
    visible: ColumnElement[bool],
    deployment_id: DeploymentId | None,
    limit: int,
) -> list[StoredLogin]:
    """Give an organization's logins in visible projects that may still have a token, oldest first."""
    mine = (vault_logins.c.organization_id == organization_id) & _OPEN
    seen = select(projects.c.id).where(projects.c.organization_id == organization_id, visible)
    query = select(vault_logins).where(mine, vault_logins.c.project_id.in_(seen))
    if deployment_id is not None:
        query = query.where(vault_logins.c.deployment_id == deployment_id)
    return [_login(row) for row in tx.execute(query.order_by(vault_logins.c.id).limit(limit))]


def newest_logins(tx: Transaction, deployment: Deployment, limit: int) -> list[StoredLogin]:
    """Give the logins that a deployment's runs meant to make, newest first, whatever became of them."""
    mine = vault_logins.c.deployment_id == deployment.id
    mine &= vault_logins.c.organization_id == deployment.organization_id
    query = select(vault_logins).where(mine).order_by(vault_logins.c.id.desc()).limit(limit)
    return [_login(row) for row in tx.execute(query)]


def ends_of(tx: Transaction, deployment_id: DeploymentId, limit: int) -> list[tuple[VaultLoginId, datetime, int]]:
    """Give when the tokens of a deployment's newest logins end that may still live, and how often each was renewed."""
    columns = vault_logins.c.id, vault_logins.c.lives_until, vault_logins.c.renewals
    mine = (vault_logins.c.deployment_id == deployment_id) & _OPEN & vault_logins.c.lives_until.is_not(None)
    rows = tx.execute(select(*columns).where(mine).order_by(vault_logins.c.id.desc()).limit(limit))
    return [(VaultLoginId(row.id), row.lives_until, row.renewals) for row in rows]


def _login(row: Row[Any]) -> StoredLogin:
    return StoredLogin(
        id=VaultLoginId(row.id),
        organization_id=row.organization_id,
        project_id=row.project_id,
        environment_id=row.environment_id,
        pool_id=row.pool_id,
        deployment_id=row.deployment_id,
        run_lease_id=row.run_lease_id,
        credential_id=CredentialId(row.credential_id),
        credential_name=row.credential_name,
        address=row.address,
        namespace=row.namespace,
        mount=row.mount,
        role_name=row.role_name,
        jti=row.jti,
        intended_at=row.intended_at,
        first_ttl=_seconds(row.first_ttl_seconds),
        kid=row.kid,
        claims=row.claims,
        gave_token=row.gave_token,
        given=_given(row),
        ended=None if row.ended is None else LoginEnd(row.ended),
        lease_ended_at=row.lease_ended_at,
        sweep_after=row.sweep_after,
        sweeps=row.sweeps,
        sweep_secret_sha256=row.sweep_secret_sha256,
        sweep_runner_id=None if row.sweep_runner_id is None else RunnerId(row.sweep_runner_id),
        swept=None if row.swept is None else SweepResult(row.swept),
        swept_at=row.swept_at,
        sweep_said=row.sweep_said,
        sweep_hint=row.sweep_hint,
    )


def _given(row: Row[Any]) -> Given | None:
    if not row.gave_token:
        return None
    return Given(
        accessor_sealed=row.accessor_sealed,
        ttl=timedelta(seconds=row.ttl_seconds),
        renewable=row.renewable,
        reported_at=row.reported_at,
        policies=None if row.policies is None else tuple(row.policies),
        renewals=row.renewals,
        lives_until=row.lives_until,
    )


def _seconds(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)
