"""The route that revokes a runner. It lives here because it ends what the runner holds."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter

from runpass.ids import RunnerId
from runpass.server.deployments.dependencies import AtDesk
from runpass.server.deployments.revoking_runners import revoke as revoke_runner
from runpass.server.deployments.run_leases import LeaseRules

router = APIRouter(prefix="/runners", tags=["Runners"])


@router.delete("/{runner_id}", status_code=204)
def revoke(runner_id: UUID, desk: AtDesk) -> None:
    """Revoke a runner: its key stops working, what it runs is lost, and another runner sweeps its tokens; at once."""
    rules = LeaseRules(desk.database, desk.cipher, desk.clock, timedelta(0))
    revoke_runner(rules, desk.wakeups, desk.caller, RunnerId(runner_id))
