"""Deployments with a log, that ended or go on."""

from factories import Tenant, holder
from runpass.protocol.reports import Finish, LogEvent, LogLevel, Outcome
from runpass.server.deployments import log_store
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.run_leases import finish, take
from runpass.server.tenancy.model import Environment

LINES = 7


def deployed(tenant: Tenant, environment: Environment, *, ends: bool = True) -> Deployment:
    """A deployment with a log."""
    world, runner = tenant.world, tenant.runner()
    deployment = tenant.queue(environment)
    lease = take(world.rules, runner)
    assert lease is not None
    now = world.clock.now()
    events = [
        LogEvent(step="task", number=number, at=now, level=LogLevel.INFO, message=f"line {number}")
        for number in range(1, LINES + 1)
    ]
    with world.database.write() as tx:
        log_store.count_log_bytes(tx, deployment.id, log_store.save_events(tx, deployment.id, events))
    if ends:
        word = Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS)
        finish(world.rules, holder(runner, lease), word)
    return deployment
