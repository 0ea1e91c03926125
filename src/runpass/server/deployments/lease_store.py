"""Every query on run leases."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select, update

from runpass.ids import DeploymentId, RunLeaseId, RunnerId
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.audit import audit_heads
from runpass.server.db.schema.deployments import deployments, run_leases
from runpass.server.db.schema.runners import runners
from runpass.server.db.schema.tenancy import organizations
from runpass.server.deployments.model import DeploymentStatus, Lease

_AS_THEY_ARE: Final = (
    select(
        run_leases.c.id,
        run_leases.c.tokens_minted,
        run_leases.c.expires_at,
        run_leases.c.ended_at,
        deployments.c.status,
        runners.c.revoked_at,
        organizations.c.updated_at,
        func.coalesce(audit_heads.c.seq, 0),
    )
    .join(deployments, deployments.c.id == run_leases.c.deployment_id)
    .join(runners, runners.c.id == run_leases.c.runner_id)
    .join(organizations, organizations.c.id == run_leases.c.organization_id)
    .outerjoin(audit_heads, audit_heads.c.chain == run_leases.c.organization_id)
    .where(run_leases.c.id.in_(bindparam("lease_ids", expanding=True)))
    .order_by(run_leases.c.id)  # the same order for everybody who locks several
)
_HELD: Final = _AS_THEY_ARE.with_for_update(of=run_leases)
_LEASE: Final = select(run_leases).where(run_leases.c.id == bindparam("lease_id"))
_LEASE_FOR_CHANGE: Final = _LEASE.with_for_update()
_COUNT: Final = (
    update(run_leases)
    .where(run_leases.c.id == bindparam("lease_id"))
    .values(tokens_minted=run_leases.c.tokens_minted + bindparam("more"), spoken_at=bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class LeaseNow:
    """A run lease in the transaction that counts its tokens, and what else can end it."""

    tokens_minted: int
    expires_at: datetime
    ended_at: datetime | None
    status: str
    revoked_at: datetime | None
    organization_seen: datetime
    last_event: int
    """The number of the last event in the organization's audit trail."""

    def goes_on(self, now: datetime) -> bool:
        """Whether its run may be given a token: lease live, runner not revoked, deployment not being ended."""
        is_over = self.ended_at is not None or self.expires_at <= now or self.revoked_at is not None
        return not is_over and self.status == DeploymentStatus.IN_PROGRESS


def insert_lease(tx: Transaction, lease: Lease) -> None:
    """Store a new run lease."""
    tx.execute(
        run_leases.insert().values(
            id=lease.id,
            organization_id=lease.organization_id,
            deployment_id=lease.deployment_id,
            runner_id=lease.runner_id,
            secret_sha256=lease.secret_sha256,
            id_token_sha256=lease.id_token_sha256,
            fencing_token=lease.fencing_token,
            tokens_minted=lease.tokens_minted,
            taken_at=lease.taken_at,
            expires_at=lease.expires_at,
        )
    )


def get_lease(tx: Transaction, lease_id: RunLeaseId, *, for_change: bool = False) -> Lease | None:
    """Give a run lease by id, live or not; `for_change` keeps everybody else from changing it until we are done."""
    row = tx.execute(_LEASE_FOR_CHANGE if for_change else _LEASE, {"lease_id": lease_id}).one_or_none()
    return None if row is None else _lease(row)


def next_fencing_token(tx: Transaction, deployment_id: DeploymentId) -> int:
    """Give a number above every one this deployment's leases ever had."""
    query = select(func.max(run_leases.c.fencing_token)).where(run_leases.c.deployment_id == deployment_id)
    return (tx.execute(query).scalar() or 0) + 1


def live_leases(tx: Transaction, runner_id: RunnerId) -> int:
    """Count the live leases of a runner."""
    live = (run_leases.c.runner_id == runner_id) & run_leases.c.ended_at.is_(None)
    return int(tx.execute(select(func.count()).select_from(run_leases).where(live)).scalar_one())


def live_leases_of(tx: Transaction, runner_id: RunnerId) -> list[Lease]:
    """Give the live leases of a runner; nobody else changes them until we are done."""
    live = (run_leases.c.runner_id == runner_id) & run_leases.c.ended_at.is_(None)
    in_order = select(run_leases).where(live).order_by(run_leases.c.id)
    return [_lease(row) for row in tx.execute(in_order.with_for_update())]


def silent_leases(tx: Transaction, deployment_id: DeploymentId) -> int:
    """Count the leases of a deployment, ended or not, whose holder never spoke."""
    silent = (run_leases.c.deployment_id == deployment_id) & run_leases.c.spoken_at.is_(None)
    return int(tx.execute(select(func.count()).select_from(run_leases).where(silent)).scalar_one())


def extend_lease(tx: Transaction, lease_id: RunLeaseId, expires_at: datetime, now: datetime) -> None:
    """Move a live lease's deadline, because its holder spoke."""
    live = (run_leases.c.id == lease_id) & run_leases.c.ended_at.is_(None)
    tx.execute(update(run_leases).where(live).values(expires_at=expires_at, spoken_at=now))


def mark_spoken(tx: Transaction, lease_id: RunLeaseId, now: datetime) -> None:
    """Note that a live lease's holder spoke."""
    live = (run_leases.c.id == lease_id) & run_leases.c.ended_at.is_(None)
    tx.execute(update(run_leases).where(live).values(spoken_at=now))


def hold_leases(tx: Transaction, lease_ids: Iterable[RunLeaseId]) -> dict[RunLeaseId, LeaseNow]:
    """Give run leases as a mint must find them; nobody else changes them until we are done."""
    return _by_id(tx.execute(_HELD, {"lease_ids": list(lease_ids)}))


def see_leases(tx: Transaction, lease_ids: Iterable[RunLeaseId]) -> dict[RunLeaseId, LeaseNow]:
    """Give run leases as they are, without a lock."""
    return _by_id(tx.execute(_AS_THEY_ARE, {"lease_ids": list(lease_ids)}))


def count_mints(tx: Transaction, counts: Mapping[RunLeaseId, int], now: datetime) -> None:
    """Count more tokens of leases that are live, each as many."""
    if counts:
        tx.execute(_COUNT, [{"lease_id": lease_id, "more": more, "now": now} for lease_id, more in counts.items()])


def end_lease(tx: Transaction, lease_id: RunLeaseId, now: datetime) -> bool:
    """End a live lease; whether it was live."""
    live = (run_leases.c.id == lease_id) & run_leases.c.ended_at.is_(None)
    return tx.execute(update(run_leases).where(live).values(ended_at=now)).rowcount == 1


def expired_leases(tx: Transaction, now: datetime, limit: int = 100) -> list[Lease]:
    """Give live leases whose deadline has passed, oldest deadline first."""
    past = run_leases.c.ended_at.is_(None) & (run_leases.c.expires_at <= now)
    query = select(run_leases).where(past).order_by(run_leases.c.expires_at).limit(limit)
    return [_lease(row) for row in tx.execute(query)]


def is_any_beyond(tx: Transaction, latest: datetime) -> bool:
    """Whether a live lease has a deadline later than this."""
    beyond = run_leases.c.ended_at.is_(None) & (run_leases.c.expires_at > latest)
    return tx.execute(select(run_leases.c.id).where(beyond).limit(1)).first() is not None


def pull_in(tx: Transaction, latest: datetime, deadline: datetime) -> int:
    """Give live leases with a deadline later than `latest` this one instead; how many there were."""
    beyond = run_leases.c.ended_at.is_(None) & (run_leases.c.expires_at > latest)
    return tx.execute(update(run_leases).where(beyond).values(expires_at=deadline)).rowcount


def _by_id(rows: Iterable[Any]) -> dict[RunLeaseId, LeaseNow]:
    return {RunLeaseId(row.id): LeaseNow(*row[1:]) for row in rows}


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        id=row.id,
        organization_id=row.organization_id,
        deployment_id=row.deployment_id,
        runner_id=row.runner_id,
        secret_sha256=row.secret_sha256,
        fencing_token=row.fencing_token,
        tokens_minted=row.tokens_minted,
        taken_at=row.taken_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        spoken_at=row.spoken_at,
        id_token_sha256=row.id_token_sha256,
    )
