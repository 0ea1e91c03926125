"""The background work of this room, beside the keeper of `deployments`: ends of lifespans, and keys that are old."""

from runpass.clock import Clock
from runpass.server.db.engine import Database
from runpass.server.deployments.keeper import again_and_again
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.environments.idempotency import KEPT
from runpass.server.environments.idempotency_store import prune_keys
from runpass.server.environments.lifespan_ends import Lifespans

END_EVERY_SECONDS = 5.0
PRUNE_EVERY_SECONDS = 60.0
PRUNED_AT_ONCE = 1_000


async def end_lifespans(lifespans: Lifespans, wakeups: Wakeups) -> None:
    """Queue the destruction of environments whose time has come, for as long as the server runs."""

    def work() -> None:
        for pool_id in lifespans.end_due():
            wakeups.work_arrived(pool_id)

    await again_and_again(work, END_EVERY_SECONDS)


async def forget_idempotency_keys(database: Database, clock: Clock) -> None:
    """Forget idempotency keys that are old enough, for as long as the server runs."""

    def work() -> None:
        with database.write() as tx:
            prune_keys(tx, clock.now() - KEPT, limit=PRUNED_AT_ONCE)

    await again_and_again(work, PRUNE_EVERY_SECONDS)
