"""Joining: a join token is made, limited in uses and time; a runner exchanges one use of it for a key of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from runpass.clock import Clock
from runpass.errors import Conflict, Unauthenticated
from runpass.ids import OrganizationId, RunnerId, new_id
from runpass.protocol.registration import Registration
from runpass.protocol.version import PROTOCOL_VERSION
from runpass.secret import Secret
from runpass.server.access.bearers import Bearer, digest, new_bearer
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Database, Transaction
from runpass.server.runners import store
from runpass.server.runners.model import Runner


@dataclass(frozen=True, slots=True)
class JoinTokenRequest:
    """What a new join token is to be good for."""

    organization_id: OrganizationId
    pool: str
    uses: int
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class NewJoinToken:
    """A join token at the only moment it is known."""

    token: Secret
    expires_at: datetime


def create_join_token(tx: Transaction, wanted: JoinTokenRequest, *, by: str, clock: Clock) -> NewJoinToken:
    """Store a new join token and its audit record."""
    now = clock.now()
    token = new_bearer(Bearer.JOIN_TOKEN)
    store.prune_join_tokens(tx, wanted.organization_id, now)
    pool_id = store.pool_id(tx, wanted.organization_id, wanted.pool, now)
    token_id = store.insert_join_token(
        tx,
        {
            "organization_id": wanted.organization_id,
            "pool_id": pool_id,
            "token_sha256": digest(token),
            "uses_left": wanted.uses,
            "created_by": by,
            "created_at": now,
            "expires_at": now + wanted.lifetime,
        },
    )
    detail = {"pool": wanted.pool, "uses": str(wanted.uses)}
    event = AuditEvent(now, by, "join_token.created", "join_token", str(token_id), wanted.organization_id, detail)
    record(tx, event)
    return NewJoinToken(token, now + wanted.lifetime)


@dataclass(frozen=True, slots=True)
class Joined:
    """A new runner and its key, which is known only now."""

    runner: Runner
    key: Secret


def register(database: Database, join_token: Secret, registration: Registration, clock: Clock) -> Joined:
    """Exchange one use of a join token for a runner and its key.

    Raises `Unauthenticated` for a token that is unknown, spent or expired: one sentence for all three; `Conflict` for a
    runner that speaks another protocol, before the token is spent.
    """
    if registration.protocol != PROTOCOL_VERSION:
        raise Conflict(
            f"the runner speaks protocol {registration.protocol}, this server {PROTOCOL_VERSION}",
            hint="give both the same version of runpass",
        )
    now = clock.now()
    key = new_bearer(Bearer.RUNNER_KEY)
    with database.write() as tx:
        row = store.use_join_token(tx, digest(join_token), now)
        if row is None:
            raise Unauthenticated("the join token is unknown, spent or expired", hint="make a new one and try again")
        runner_id = RunnerId(new_id())
        runner = Runner(
            id=runner_id,
            organization_id=row.organization_id,
            pool_id=row.pool_id,
            pool="",
            bound_project_id=None,
            name=registration.name,
            version=registration.version,
            isolation=registration.isolation,
            capacity=registration.capacity,
            created_at=now,
            last_seen_at=now,
            revoked_at=None,
        )
        store.insert_runner(tx, runner, digest(key))
        detail = {"name": registration.name, "isolation": registration.isolation.value, "joinToken": str(row.id)}
        subject = str(runner_id)
        record(tx, AuditEvent(now, "join-token", "runner.registered", "runner", subject, row.organization_id, detail))
        stored = store.get_runner(tx, runner_id)
    return Joined(stored or runner, key)


def runner_of(tx: Transaction, key: Secret) -> Runner:
    """Give the runner that calls with this key. Raises `Unauthenticated` if there is none, or it was revoked."""
    runner = store.find_by_key(tx, digest(key))
    if runner is None:
        raise Unauthenticated("the runner key is unknown or was revoked")
    return runner
