"""Old logs and old audit events go, a little at a time; what may still be needed stays."""

from datetime import timedelta

from sqlalchemy import select

from ended_deployments import LINES, deployed
from factories import Tenant, World
from runpass.server.db.schema.deployments import deployment_log_events, deployments
from runpass.server.deployments import log_store
from runpass.server.deployments.model import Deployment
from runpass.server.keeping.retention import LogRetention, forget_events
from runpass.server.trail.verifying import verify

WEEK = timedelta(days=7)


def lines_of(world: World, deployment: Deployment) -> int:
    with world.database.read() as tx:
        mine = deployment_log_events.c.deployment_id == deployment.id
        return len(tx.execute(select(deployment_log_events.c.number).where(mine)).all())


def retention(world: World, **more: int) -> LogRetention:
    return LogRetention(world.database, world.clock, WEEK, **{"lines_at_once": 3, **more})


def test_logs_go_but_not_the_newest_of_an_environment_nor_one_that_goes_on(world: World, tenant: Tenant):
    project, environment = tenant.somewhere_to_deploy()
    old, newest = deployed(tenant, environment), deployed(tenant, environment)
    other = tenant.environment(project, tenant.template(project), "other")
    running = deployed(tenant, other, ends=False)
    with world.database.read() as tx:
        before = log_store.usage(tx, tenant.id)
        size = tx.execute(select(deployments.c.log_bytes).where(deployments.c.id == old.id)).scalar_one()
    assert retention(world).work() == 0, "nothing is old enough"
    world.clock.advance(WEEK + timedelta(seconds=1))
    assert retention(world).work() == 1
    assert [lines_of(world, item) for item in (old, newest, running)] == [0, LINES, LINES]
    with world.database.read() as tx:
        assert log_store.usage(tx, tenant.id) == before - size
        assert tx.execute(select(deployments.c.log_bytes).where(deployments.c.id == old.id)).scalar_one() == 0
        assert len(tx.execute(select(deployments.c.id)).all()) == 3, "deployments themselves stay"
    assert retention(world).work() == 0


def test_it_goes_on_where_it_ended_and_begins_anew(world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    for _ in range(3):
        deployed(tenant, environment)
    world.clock.advance(WEEK + timedelta(seconds=1))
    small = retention(world, looks_at_once=1)
    assert [small.work() for _ in range(5)] == [1, 1, 0, 0, 0]


def test_old_events_go_and_the_rest_holds(world: World, tenant: Tenant):
    tenant.somewhere_to_deploy()
    deployed(tenant, tenant.somewhere_to_deploy()[1])
    world.clock.advance(WEEK + timedelta(days=1))
    deployed(tenant, tenant.somewhere_to_deploy()[1])
    assert forget_events(world.database, world.clock, WEEK) > 0
    (report,) = [item for item in verify(world.database) if item.chain == tenant.id]
    assert report.checkpoint is not None
    assert report.checkpoint.actor == "system"
    assert report.fault is None
    assert forget_events(world.database, world.clock, WEEK) == 0
