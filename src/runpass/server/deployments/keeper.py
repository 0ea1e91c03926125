"""The keeper: the server's small background work, one task for each kind, stopped with the server."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog
from starlette.concurrency import run_in_threadpool

from runpass.clock import Clock
from runpass.errors import RunpassError
from runpass.observability.metrics import VAULT_LOGINS_OUTSTANDING
from runpass.server.db.engine import Database
from runpass.server.deployments import login_store, token_store
from runpass.server.deployments.run_leases import LeaseRules, end_expired
from runpass.server.deployments.store import WAITING
from runpass.server.deployments.wakeups import Wakeups

_log = structlog.get_logger(__name__)
LOOK_EVERY_SECONDS = 0.5
SETTLE_EVERY_SECONDS = 5.0
LEEWAY = timedelta(minutes=1)
"""How long after its end a Vault still accepts a token, by default."""


async def end_lost_runs(rules: LeaseRules, wakeups: Wakeups) -> None:
    """End deployments whose runner is lost, or hand them back, for as long as the server runs."""
    await again_and_again(lambda: end_lost_once(rules, wakeups), LOOK_EVERY_SECONDS)


def end_lost_once(rules: LeaseRules, wakeups: Wakeups) -> None:
    """Look once; tell the log of each deployment, and its pool that there may be work."""
    for deployment in end_expired(rules):
        event = "deployment.returned" if deployment.status in WAITING else "deployment.runner_lost"
        _log.warning(event, deployment_id=str(deployment.id), status=deployment.status.value)
        wakeups.work_arrived(deployment.pool_id)


async def settle_logins(database: Database, clock: Clock) -> None:
    """Settle logins whose Vault token must have expired, and forget job tokens that have, while the server runs."""
    await again_and_again(lambda: settle_once(database, clock), SETTLE_EVERY_SECONDS)


def settle_once(database: Database, clock: Clock) -> None:
    """Look once."""
    now = clock.now()
    with database.write() as tx:
        login_store.settle_expired(tx, now)
        token_store.forget_expired(tx, now - LEEWAY)
        known, unknown = login_store.count_outstanding(tx)
    VAULT_LOGINS_OUTSTANDING.labels("known").set(known)
    VAULT_LOGINS_OUTSTANDING.labels("unknown").set(unknown)


async def again_and_again(work: Callable[[], None], every_seconds: float) -> None:
    """Do some work in a thread, pause, and do it again; a failure is told in the log and ends nothing."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await run_in_threadpool(work)
        except RunpassError as error:
            _log.warning("keeper.failed", code=error.code, message=error.message)
        except Exception:  # noqa: BLE001 -- it goes on: without it no lost run would ever end
            _log.exception("keeper.crashed")
