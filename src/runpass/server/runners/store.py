"""Every query on pools, join tokens and runners."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, select, update

from runpass.errors import Conflict
from runpass.ids import JoinTokenId, OrganizationId, PoolId, ProjectId, RunnerId, new_id
from runpass.protocol.registration import Isolation
from runpass.server.db.engine import Transaction, insert_into
from runpass.server.db.schema.runners import join_tokens, runner_pools, runners
from runpass.server.runners.model import Runner
from runpass.server.tenancy.model import Project


def pool_id(tx: Transaction, organization_id: OrganizationId, name: str, now: datetime) -> PoolId:
    """Give an organization's pool of this name, made if it is not there yet."""
    found = find_pool(tx, organization_id, name)
    if found is None:
        values = {"id": new_id(), "organization_id": organization_id, "name": name, "created_at": now}
        tx.execute(insert_into(tx, runner_pools).values(**values).on_conflict_do_nothing())
        found = find_pool(tx, organization_id, name)  # ours, or that of somebody who was faster
    if found is None:
        raise Conflict("the pool was deleted while it was made")
    return found


def find_pool(tx: Transaction, organization_id: OrganizationId, name: str) -> PoolId | None:
    """Give an organization's pool of this name, if there is one."""
    mine = (runner_pools.c.organization_id == organization_id) & (runner_pools.c.name == name)
    found = tx.execute(select(runner_pools.c.id).where(mine)).scalar_one_or_none()
    return None if found is None else PoolId(found)


def pool_name(tx: Transaction, pool_id: PoolId) -> str:
    """Give the name of a pool."""
    return str(tx.execute(select(runner_pools.c.name).where(runner_pools.c.id == pool_id)).scalar_one())


def insert_join_token(tx: Transaction, values: dict[str, Any]) -> JoinTokenId:
    """Store a join token's digest and limits; give its id."""
    token_id = JoinTokenId(new_id())
    tx.execute(join_tokens.insert().values(id=token_id, **values))
    return token_id


def use_join_token(tx: Transaction, token_sha256: bytes, now: datetime) -> Row[Any] | None:
    """Spend one use of a join token that is neither spent nor expired; give its row, or None."""
    usable = (
        (join_tokens.c.token_sha256 == token_sha256) & (join_tokens.c.uses_left > 0) & (join_tokens.c.expires_at > now)
    )
    spend = update(join_tokens).where(usable).values(uses_left=join_tokens.c.uses_left - 1).returning(*join_tokens.c)
    return tx.execute(spend).one_or_none()


def prune_join_tokens(tx: Transaction, organization_id: OrganizationId, now: datetime) -> None:
    """Delete what can no longer be used."""
    gone = (join_tokens.c.uses_left <= 0) | (join_tokens.c.expires_at <= now)
    tx.execute(delete(join_tokens).where(join_tokens.c.organization_id == organization_id, gone))


def insert_runner(tx: Transaction, runner: Runner, key_sha256: bytes) -> None:
    """Store a new runner and the digest of its key."""
    tx.execute(
        runners.insert().values(
            id=runner.id,
            organization_id=runner.organization_id,
            pool_id=runner.pool_id,
            bound_project_id=runner.bound_project_id,
            name=runner.name,
            version=runner.version,
            isolation=runner.isolation.value,
            capacity=runner.capacity,
            key_sha256=key_sha256,
            created_at=runner.created_at,
            last_seen_at=runner.last_seen_at,
            revoked_at=runner.revoked_at,
        )
    )


def find_by_key(tx: Transaction, key_sha256: bytes) -> Runner | None:
    """Give the runner with this key, unless it is revoked.

    The look-up is by digest: knowing how far a digest matched would tell nothing about the key.
    """
    alive = (runners.c.key_sha256 == key_sha256) & runners.c.revoked_at.is_(None)
    row = tx.execute(_with_pool().where(alive)).one_or_none()
    return None if row is None else _runner(row)


def get_runner(tx: Transaction, runner_id: RunnerId) -> Runner | None:
    """Give a runner by id."""
    row = tx.execute(_with_pool().where(runners.c.id == runner_id)).one_or_none()
    return None if row is None else _runner(row)


def list_runners(
    tx: Transaction, organization_id: OrganizationId, *, limit: int | None = None, offset: int = 0
) -> list[Runner]:
    """Give an organization's runners that are not revoked, oldest first; without a limit all that follow."""
    mine = (runners.c.organization_id == organization_id) & runners.c.revoked_at.is_(None)
    query = _with_pool().where(mine).order_by(runners.c.id).limit(limit).offset(offset or None)
    return [_runner(row) for row in tx.execute(query)]


def serves(tx: Transaction, project: Project, pool_id: PoolId, since: datetime) -> bool:
    """Whether a runner of a pool that may work for a project has been in touch since then."""
    alive = (runners.c.organization_id == project.organization_id) & runners.c.revoked_at.is_(None)
    here = (runners.c.pool_id == pool_id) & (runners.c.last_seen_at > since)
    free = (runners.c.isolation != Isolation.NONE.value) | runners.c.bound_project_id.is_(None)
    query = select(runners.c.id).where(alive, here, free | (runners.c.bound_project_id == project.id))
    return tx.execute(query.limit(1)).first() is not None


def hold_runner(tx: Transaction, runner_id: RunnerId, now: datetime) -> Runner | None:
    """Give the runner that asks for work as it is at this moment; nothing if its key was revoked.

    Every other call of this runner for work waits until the transaction has ended.
    """
    mark_seen(tx, runner_id, now)
    runner = get_runner(tx, runner_id)
    return None if runner is None or runner.revoked_at is not None else runner


def bind_to_project(tx: Transaction, runner: Runner, project_id: ProjectId) -> None:
    """Bind a runner without isolation to the first project that it works for."""
    if runner.is_unisolated:
        mine = (runners.c.id == runner.id) & runners.c.bound_project_id.is_(None)
        tx.execute(update(runners).where(mine).values(bound_project_id=project_id))


def mark_seen(tx: Transaction, runner_id: UUID, now: datetime) -> None:
    """Note that a runner called."""
    tx.execute(update(runners).where(runners.c.id == runner_id).values(last_seen_at=now))


def revoke_runner(tx: Transaction, organization_id: OrganizationId, runner_id: RunnerId, now: datetime) -> bool:
    """Revoke a runner's key; whether there was one to revoke."""
    alive = (
        (runners.c.id == runner_id) & (runners.c.organization_id == organization_id) & runners.c.revoked_at.is_(None)
    )
    return tx.execute(update(runners).where(alive).values(revoked_at=now)).rowcount == 1


def _with_pool() -> Select[Any]:
    return select(runners, runner_pools.c.name.label("pool")).join(runner_pools, runner_pools.c.id == runners.c.pool_id)


def _runner(row: Row[Any]) -> Runner:
    return Runner(
        id=row.id,
        organization_id=row.organization_id,
        pool_id=row.pool_id,
        pool=row.pool,
        bound_project_id=row.bound_project_id,
        name=row.name,
        version=row.version,
        isolation=Isolation(row.isolation),
        capacity=row.capacity,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        revoked_at=row.revoked_at,
    )
