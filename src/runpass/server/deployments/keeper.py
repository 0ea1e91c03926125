"""The keeper: the server's small background work, one task, stopped with the server."""

import asyncio

import structlog
from starlette.concurrency import run_in_threadpool

from runpass.errors import RunpassError
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.deployments.run_leases import LeaseRules, end_expired
from runpass.server.deployments.wakeups import Wakeups

_log = structlog.get_logger(__name__)
LOOK_EVERY_SECONDS = 0.5


async def end_lost_runs(rules: LeaseRules, wakeups: Wakeups) -> None:
    """End deployments whose runner is lost, or hand them back, for as long as the server runs."""
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        try:
            lost = await run_in_threadpool(end_expired, rules)
        except RunpassError as error:
            _log.warning("keeper.failed", code=error.code, message=error.message)
            continue
        except Exception:  # noqa: BLE001 -- it goes on: without it no lost run would ever end
            _log.exception("keeper.crashed")
            continue
        for deployment in lost:
            back = deployment.status is DeploymentStatus.QUEUED
            _log.warning("deployment.returned" if back else "deployment.runner_lost", deployment_id=str(deployment.id))
            wakeups.work_arrived(deployment.pool_id)
