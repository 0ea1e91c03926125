"""The route that revokes a runner. It lives here because it ends what the runner holds."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter

from runpass.errors import NotFound
from runpass.ids import RunnerId
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.deployments.dependencies import AtDesk
from runpass.server.deployments.run_leases import LeaseRules, count_lost, lose_all
from runpass.server.runners import store

router = APIRouter(prefix="/runners", tags=["Runners"])


@router.delete("/{runner_id}", status_code=204)
def revoke(runner_id: UUID, desk: AtDesk) -> None:
    """Revoke a runner: its key stops working, what it runs is lost, and another runner sweeps its tokens; at once."""
    caller, now = desk.caller, desk.clock.now()
    caller.require_organization(caller.organization_id, Permission.MANAGE_RUNNERS)
    rules = LeaseRules(desk.database, desk.cipher, desk.clock, timedelta(0))
    with desk.database.write() as tx:
        if not store.revoke_runner(tx, caller.organization_id, RunnerId(runner_id), now):
            raise NotFound("there is no such runner")
        lost = lose_all(tx, rules, RunnerId(runner_id), now)
        event = AuditEvent(now, caller.audit_name, "runner.revoked", "runner", str(runner_id), caller.organization_id)
        record(tx, event)
    for deployment in lost:
        count_lost(deployment)
        desk.wakeups.work_arrived(deployment.pool_id)
