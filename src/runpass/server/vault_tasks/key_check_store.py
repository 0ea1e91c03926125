"""Every query on key checks."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, func, select, update

from runpass.ids import OrganizationId, PoolId, VaultTaskId
from runpass.protocol.key_checks import KeyCheckReport, ProbeVerdict, Refetched
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.credentials import credential_assignments
from runpass.server.db.schema.key_checks import key_checks
from runpass.server.db.schema.runners import runners
from runpass.server.runners.model import Runner
from runpass.server.vault_tasks.key_check_model import StoredKeyCheck
from runpass.server.vault_tasks.known_vaults import Place
from runpass.server.vault_tasks.model import TAKES, WAITS

SLACK: Final = timedelta(seconds=2)
"""What the clocks of two servers may differ by."""


def insert_check(tx: Transaction, check: StoredKeyCheck) -> None:
    """Store a new key check."""
    tx.execute(
        key_checks.insert().values(
            id=check.id,
            organization_id=check.organization_id,
            place_sha256=check.place.sha256,
            address=check.place.address,
            namespace=check.place.namespace,
            mount=check.place.mount,
            credential_id=check.credential_id,
            pool_id=check.pool_id,
            verifier=check.verifier,
            about_kid=check.about_kid,
            probe_kid=check.probe_kid,
            probe_sealed=check.probe_sealed,
            created_at=check.created_at,
        )
    )


def get_check(tx: Transaction, organization_id: OrganizationId, check_id: VaultTaskId) -> StoredKeyCheck | None:
    """Give a key check of this organization."""
    mine = (key_checks.c.id == check_id) & (key_checks.c.organization_id == organization_id)
    row = tx.execute(select(key_checks).where(mine)).one_or_none()
    return None if row is None else _check(row)


def list_checks(tx: Transaction, ids: Collection[VaultTaskId]) -> list[StoredKeyCheck]:
    """Give these key checks, oldest first."""
    query = select(key_checks).where(key_checks.c.id.in_(ids)).order_by(key_checks.c.id)
    return [_check(row) for row in tx.execute(query)]


def checks_about(tx: Transaction, kid: str) -> list[StoredKeyCheck]:
    """Give all key checks that were made for a key, oldest first."""
    query = select(key_checks).where(key_checks.c.about_kid == kid).order_by(key_checks.c.id)
    return [_check(row) for row in tx.execute(query)]


def own_checks_about(tx: Transaction, organization_id: OrganizationId, kid: str) -> list[StoredKeyCheck]:
    """Give the key checks of one organization's Vaults that were made for a key, oldest first."""
    mine = (key_checks.c.about_kid == kid) & (key_checks.c.organization_id == organization_id)
    return [_check(row) for row in tx.execute(select(key_checks).where(mine).order_by(key_checks.c.id))]


def checks_of(tx: Transaction, organization_id: OrganizationId, place: Place, kid: str) -> list[StoredKeyCheck]:
    """Give the key checks of one Vault about one key, oldest first."""
    here = (key_checks.c.organization_id == organization_id) & (key_checks.c.place_sha256 == place.sha256)
    query = select(key_checks).where(here, key_checks.c.about_kid == kid).order_by(key_checks.c.id)
    return [_check(row) for row in tx.execute(query)]


def forget_before(tx: Transaction, before: datetime) -> None:
    """Delete what was made before then."""
    tx.execute(delete(key_checks).where(key_checks.c.created_at < before))


def take_next(tx: Transaction, runner: Runner, secret_sha256: bytes, now: datetime) -> StoredKeyCheck | None:
    """Give the oldest key check of the runner's pool that it may make.

    SECURITY: what a runner without isolation holds, the jobs of its project may read. So it gets credentials of that
    project only, and none before it has a project.
    """
    if runner.is_unisolated and runner.only_project_id is None:
        return None
    waiting = key_checks.c.taken_at.is_(None) & (key_checks.c.created_at > now - WAITS)
    query = select(key_checks.c.id).where(waiting, key_checks.c.pool_id == runner.pool_id)
    if runner.is_unisolated:
        its_own = credential_assignments.c.project_id == runner.only_project_id
        query = query.where(
            key_checks.c.credential_id.in_(select(credential_assignments.c.credential_id).where(its_own))
        )
    oldest = query.order_by(key_checks.c.created_at, key_checks.c.id).limit(1).with_for_update(skip_locked=True)
    chosen = tx.execute(oldest).scalar_one_or_none()
    if chosen is None:
        return None
    values = {"taken_at": now, "runner_id": runner.id, "secret_sha256": secret_sha256}
    row = tx.execute(update(key_checks).where(key_checks.c.id == chosen).values(**values).returning(key_checks)).one()
    return _check(row)


def finish_check(tx: Transaction, check_id: VaultTaskId, report: KeyCheckReport, now: datetime) -> bool:
    """Keep what a runner was answered, if the check is still going on; whether it is."""
    going_on = key_checks.c.finished_at.is_(None) & (key_checks.c.taken_at > now - TAKES)
    values = {
        "finished_at": now,
        "reached": report.reached,
        "refetched": report.refetched.value,
        "probe_verdict": report.probe_verdict.value if report.probe_verdict else None,
        "said": report.said,
    }
    return tx.execute(update(key_checks).where(key_checks.c.id == check_id, going_on).values(**values)).rowcount == 1


def end_unsent(tx: Transaction, check_id: VaultTaskId, why: str, now: datetime) -> None:
    """End a check that no runner is given."""
    tx.execute(update(key_checks).where(key_checks.c.id == check_id).values(finished_at=now, reached=False, said=why))


def open_checks(tx: Transaction, now: datetime) -> list[StoredKeyCheck]:
    """Give the checks of Vaults with a URL of their own that went on a moment ago, and saw no fetch yet."""
    recent = key_checks.c.created_at > now - WAITS - TAKES - SLACK
    waits = key_checks.c.taken_at.is_not(None) & key_checks.c.verifier.is_not(None) & key_checks.c.seen_at.is_(None)
    return [_check(row) for row in tx.execute(select(key_checks).where(recent, waits))]


def mark_seen(tx: Transaction, check_id: VaultTaskId, at: datetime, kids: Iterable[str]) -> None:
    """Keep that the key set was fetched, unless somebody else has: one write for each check."""
    first = (key_checks.c.id == check_id) & key_checks.c.seen_at.is_(None)
    tx.execute(update(key_checks).where(first).values(seen_at=at, seen_kids=sorted(kids)))


def pools_with_checks(tx: Transaction, now: datetime) -> set[PoolId]:
    """Give the pools that have a key check to be taken."""
    waiting = key_checks.c.taken_at.is_(None) & (key_checks.c.created_at > now - WAITS)
    query = select(key_checks.c.pool_id).where(waiting, key_checks.c.pool_id.is_not(None)).distinct()
    return {PoolId(pool) for pool in tx.execute(query).scalars()}


def pools_of(tx: Transaction, organization_id: OrganizationId) -> list[tuple[PoolId, datetime]]:
    """Give the organization's pools that have a runner, and when one was heard of last: the newest first."""
    mine = (runners.c.organization_id == organization_id) & runners.c.revoked_at.is_(None)
    newest = func.max(runners.c.last_seen_at)
    query = select(runners.c.pool_id, newest).where(mine).group_by(runners.c.pool_id)
    found = [(PoolId(pool), seen) for pool, seen in tx.execute(query)]
    return sorted(found, key=lambda item: item[1], reverse=True)


def _check(row: Row[Any]) -> StoredKeyCheck:
    return StoredKeyCheck(
        id=row.id,
        organization_id=row.organization_id,
        place=Place(row.address, row.namespace, row.mount),
        credential_id=row.credential_id,
        pool_id=row.pool_id,
        verifier=row.verifier,
        about_kid=row.about_kid,
        probe_kid=row.probe_kid,
        probe_sealed=row.probe_sealed,
        runner_id=row.runner_id,
        secret_sha256=row.secret_sha256,
        created_at=row.created_at,
        taken_at=row.taken_at,
        finished_at=row.finished_at,
        reached=row.reached,
        refetched=Refetched(row.refetched) if row.refetched else None,
        probe_verdict=ProbeVerdict(row.probe_verdict) if row.probe_verdict else None,
        said=row.said,
        seen_at=row.seen_at,
    )
