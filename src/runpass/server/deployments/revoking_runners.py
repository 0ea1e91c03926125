"""Revoking a runner. It stands here because it ends what the runner holds."""

from runpass.errors import NotFound
from runpass.ids import RunnerId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.deployments.run_leases import LeaseRules, count_lost, lose_all
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.runners import store


def revoke(rules: LeaseRules, wakeups: Wakeups, actor: Actor, runner_id: RunnerId) -> None:
    """Revoke a runner: its key stops working, what it runs is lost, and another runner sweeps its tokens; at once.

    Raises `Forbidden`, and `NotFound` for one that is foreign or revoked already.
    """
    actor.require_organization(actor.organization_id, Permission.MANAGE_RUNNERS)
    now = rules.clock.now()
    with rules.database.write() as tx:
        if not store.revoke_runner(tx, actor.organization_id, runner_id, now):
            raise NotFound("there is no such runner")
        lost = lose_all(tx, rules, runner_id, now)
        record(tx, AuditEvent(now, actor.audit_name, "runner.revoked", "runner", str(runner_id), actor.organization_id))
    for deployment in lost:
        count_lost(deployment)
        wakeups.work_arrived(deployment.pool_id)
