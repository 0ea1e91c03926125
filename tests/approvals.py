"""Steps of a deployment that waits for an approval, for the tests of the stored part."""

from typing import Any

from factories import Tenant, World, holder
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.server.access.actors import Actor
from runpass.server.deployments import store
from runpass.server.deployments.approval import approve
from runpass.server.deployments.model import Deployment, DeployRequest
from runpass.server.deployments.run_leases import finish, take
from runpass.server.runners.model import Runner

ASKED = DeployRequest(requires_approval=True)


def now(tenant: Tenant, deployment: Deployment) -> Deployment:
    with tenant.world.database.read() as tx:
        found = store.get_deployment(tx, tenant.id, deployment.id)
    assert found is not None
    return found


def taken(world: World, runner: Runner) -> RunLease:
    lease = take(world.rules, runner)
    assert lease is not None
    return lease


def end(world: World, runner: Runner, lease: RunLease, outcome: Outcome = Outcome.SUCCESS, **more: Any) -> None:
    finish(world.rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=outcome, **more))


def approve_as(tenant: Tenant, deployment: Deployment, reviewer: Actor) -> None:
    world = tenant.world
    with world.database.write() as tx:
        approve(tx, world.cipher, deployment, reviewer, world.clock.now())
