"""Every query on idempotency keys."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update

from runpass.ids import DeploymentId, EnvironmentId, OrganizationId, new_id
from runpass.server.db.engine import Transaction, insert_into
from runpass.server.db.schema.deployments import idempotency_keys


@dataclass(frozen=True, slots=True)
class AskedOnce:
    """A request that its caller wants to be done once. `fingerprints` tell it from others under the same key.

    The first is stored; the others are what the same request has with the master key that is being left.
    """

    organization_id: OrganizationId
    actor: str
    key: str
    fingerprints: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a request with the same key did before."""

    fingerprint: bytes
    environment_id: EnvironmentId
    deployment_id: DeploymentId | None


def find_earlier(tx: Transaction, asked: AskedOnce) -> Earlier | None:
    """Give what this actor has done with this key."""
    columns = (idempotency_keys.c.fingerprint, idempotency_keys.c.environment_id, idempotency_keys.c.deployment_id)
    row = tx.execute(select(*columns).where(_this(asked))).one_or_none()
    if row is None:
        return None
    return Earlier(bytes(row.fingerprint), row.environment_id, row.deployment_id)


def insert_key(tx: Transaction, asked: AskedOnce, environment_id: EnvironmentId, now: datetime) -> bool:
    """Store a key; whether it was not there. Waits for a transaction that is storing the same one."""
    values = {
        "id": new_id(),
        "organization_id": asked.organization_id,
        "actor": asked.actor,
        "key": asked.key,
        "fingerprint": asked.fingerprints[0],
        "environment_id": environment_id,
        "created_at": now,
    }
    statement = insert_into(tx, idempotency_keys).values(**values)
    only_new = statement.on_conflict_do_nothing(index_elements=["organization_id", "actor", "key"])
    return tx.execute(only_new.returning(idempotency_keys.c.id)).first() is not None


def complete_key(tx: Transaction, asked: AskedOnce, deployment_id: DeploymentId) -> None:
    """Note which deployment the request queued."""
    tx.execute(update(idempotency_keys).where(_this(asked)).values(deployment_id=deployment_id))


def prune_keys(tx: Transaction, before: datetime, *, limit: int) -> int:
    """Delete keys that were stored before a moment, at most so many; how many."""
    old = select(idempotency_keys.c.id).where(idempotency_keys.c.created_at < before)
    oldest = old.order_by(idempotency_keys.c.created_at).limit(limit).with_for_update(skip_locked=True)
    doomed = tx.execute(oldest).scalars().all()
    tx.execute(delete(idempotency_keys).where(idempotency_keys.c.id.in_(doomed)))
    return len(doomed)


def _this(asked: AskedOnce) -> ColumnElement[bool]:
    mine = (idempotency_keys.c.organization_id == asked.organization_id) & (idempotency_keys.c.actor == asked.actor)
    return mine & (idempotency_keys.c.key == asked.key)
