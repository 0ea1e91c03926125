"""The keeper: the server's small background work, one task for each kind, stopped with the server."""

import asyncio
from collections.abc import Callable

import structlog
from starlette.concurrency import run_in_threadpool

from runpass.clock import Clock
from runpass.errors import RunpassError
from runpass.server.db.engine import Database
from runpass.server.deployments.idempotency import KEPT
from runpass.server.deployments.idempotency_store import prune_keys
from runpass.server.deployments.lifespan_ends import Lifespans
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.deployments.run_leases import LeaseRules, end_expired
from runpass.server.deployments.wakeups import Wakeups

_log = structlog.get_logger(__name__)
LOOK_EVERY_SECONDS = 0.5
END_EVERY_SECONDS = 5.0
PRUNE_EVERY_SECONDS = 60.0
PRUNED_AT_ONCE = 1_000


async def end_lost_runs(rules: LeaseRules, wakeups: Wakeups) -> None:
    """End deployments whose runner is lost, or hand them back, for as long as the server runs."""

    def work() -> None:
        for deployment in end_expired(rules):
            back = deployment.status is DeploymentStatus.QUEUED
            _log.warning("deployment.returned" if back else "deployment.runner_lost", deployment_id=str(deployment.id))
            wakeups.work_arrived(deployment.pool_id)

    await _again_and_again(work, LOOK_EVERY_SECONDS)


async def end_lifespans(lifespans: Lifespans, wakeups: Wakeups) -> None:
    """Queue the destruction of environments whose time has come, for as long as the server runs."""

    def work() -> None:
        for pool_id in lifespans.end_due():
            wakeups.work_arrived(pool_id)

    await _again_and_again(work, END_EVERY_SECONDS)


async def forget_idempotency_keys(database: Database, clock: Clock) -> None:
    """Forget idempotency keys that are old enough, for as long as the server runs."""

    def work() -> None:
        with database.write() as tx:
            prune_keys(tx, clock.now() - KEPT, limit=PRUNED_AT_ONCE)

    await _again_and_again(work, PRUNE_EVERY_SECONDS)


async def _again_and_again(work: Callable[[], None], every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await run_in_threadpool(work)
        except RunpassError as error:
            _log.warning("keeper.failed", code=error.code, message=error.message)
        except Exception:  # noqa: BLE001 -- it goes on: without it no lost run would ever end
            _log.exception("keeper.crashed")
