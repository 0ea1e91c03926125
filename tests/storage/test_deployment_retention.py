"""Old deployments go with everything of them; what an environment needs, and what is outstanding, stays."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from ended_deployments import deployed
from factories import Tenant, World
from runpass.protocol.reports import Finish, Outcome
from runpass.server.db.schema import metadata
from runpass.server.db.schema.deployments import deployments
from runpass.server.db.schema.vault_logins import vault_logins
from runpass.server.deployments import log_store, token_store
from runpass.server.deployments.keeper import LEEWAY
from runpass.server.deployments.model import DeploymentStatus, DeploymentType
from runpass.server.deployments.run_leases import finish
from runpass.server.deployments.store import last_deploy, last_outcome
from runpass.server.keeping.deployment_retention import DeploymentRetention
from runpass.server.tenancy.environment_store import get_environment
from vault_run import Run

YEAR = timedelta(days=365)
OF_DEPLOYMENTS = ("deployments", "deployment_steps", "deployment_log_events", "run_leases", "vault_logins")


def retention(world: World, **more: int) -> DeploymentRetention:
    return DeploymentRetention(world.database, world.clock, YEAR, **{"lines_at_once": 3, **more})


def left(world: World) -> dict[str, int]:
    with world.database.read() as tx:
        tables = (metadata.tables[name] for name in OF_DEPLOYMENTS)
        return {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def ids(world: World) -> list[Any]:
    with world.database.read() as tx:
        return list(tx.execute(select(deployments.c.id).order_by(deployments.c.id)).scalars())


def change(world: World, deployment: Any, **values: Any) -> None:
    with world.database.write() as tx:
        tx.execute(update(deployments).where(deployments.c.id == deployment).values(**values))


def forget_tokens(world: World) -> None:
    with world.database.write() as tx:
        token_store.forget_expired(tx, world.clock.now() - LEEWAY)


def test_an_old_deployment_goes_with_everything_of_it(world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    old = [deployed(tenant, environment).id for _ in range(2)]
    world.clock.advance(YEAR + timedelta(seconds=1))
    newest = deployed(tenant, environment).id
    only_newest = {name: count // 3 for name, count in left(world).items()}
    with world.database.read() as tx:
        a_third = log_store.usage(tx, tenant.id) // 3
    assert retention(world).work() == len(old)
    assert ids(world) == [newest]
    assert left(world) == only_newest
    with world.database.read() as tx:
        assert log_store.usage(tx, tenant.id) == a_third
    assert retention(world).work() == 0


def test_what_its_environment_needs_stays(world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    outputs, success, gone, newest = (deployed(tenant, environment).id for _ in range(4))
    change(world, outputs, outputs_sealed=b"x", status="FAILURE")
    for failed in (gone, newest):
        change(world, failed, status="FAILURE")
    world.clock.advance(YEAR + timedelta(seconds=1))
    assert retention(world).work() == 1
    assert ids(world) == [outputs, success, newest]


def test_what_its_environments_state_comes_from_stays(world: World, tenant: Tenant):
    """A failed deploy, under a task that succeeded and a deploy that was cancelled before it began."""
    _, environment = tenant.somewhere_to_deploy()
    older, failed, task, cancelled = (deployed(tenant, environment).id for _ in range(4))
    change(world, older, status="FAILURE")
    change(world, failed, status="FAILURE")
    change(world, task, type="task")
    change(world, cancelled, status="CANCELLED", started_at=None)
    world.clock.advance(YEAR + timedelta(seconds=1))
    with world.database.read() as tx:
        before = last_outcome(tx, environment.id), last_deploy(tx, environment.id)
    assert retention(world).work() == 1
    assert ids(world) == [failed, task, cancelled]
    with world.database.read() as tx:
        assert before == (last_outcome(tx, environment.id), last_deploy(tx, environment.id))


def test_of_deployments_that_ended_at_one_moment_the_newest_decides(world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    found = [deployed(tenant, environment).id for _ in range(6)]
    for position, deployment in enumerate(found):
        change(world, deployment, status="FAILURE" if position == len(found) - 1 else "SUCCESS")
        change(world, deployment, finished_at=world.clock.now())
    for deployment in reversed(found):  # the order in which rows are written must not decide
        change(world, deployment, log_bytes=1)
    with world.database.read() as tx:
        assert last_outcome(tx, environment.id) == (DeploymentStatus.FAILURE, DeploymentType.DEPLOY)


def test_one_that_is_young_or_goes_on_stays(world: World, tenant: Tenant):
    project, environment = tenant.somewhere_to_deploy()
    going_on = deployed(tenant, environment, ends=False).id
    world.clock.advance(YEAR)
    other = tenant.environment(project, tenant.template(project), "other")
    young = [deployed(tenant, other).id for _ in range(2)]
    assert retention(world).work() == 0
    assert ids(world) == [going_on, *young]


@pytest.mark.parametrize("ends", [True, False], ids=["settled", "outstanding"])
def test_a_login_that_is_not_known_to_be_over_keeps_its_deployment(world: World, tenant: Tenant, ends: bool):  # noqa: FBT001 -- pytest
    run = Run(world, tenant)
    login = run.log_in()
    run.tell(login)
    finish(world.rules, run.holder, Finish(fencing_token=run.lease.fencing_token, outcome=Outcome.SUCCESS))
    deployment = run.lease.run.deployment_id
    with world.database.write() as tx:
        where = tx.execute(select(deployments.c.environment_id).where(deployments.c.id == deployment)).scalar_one()
        environment = get_environment(tx, tenant.id, where)
        assert environment is not None
        tx.execute(update(vault_logins).values(settled_at=world.clock.now() if ends else None, sweep_after=None))
    world.clock.advance(timedelta(seconds=1))
    now = world.clock.now()
    change(world, tenant.queue(environment).id, status="SUCCESS", started_at=now, finished_at=now)
    world.clock.advance(YEAR + timedelta(seconds=1))
    forget_tokens(world)
    assert retention(world).work() == int(ends)
    assert (deployment in ids(world)) is not ends


def test_it_goes_on_where_it_ended_and_begins_anew(world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    for _ in range(3):
        deployed(tenant, environment)
    world.clock.advance(YEAR + timedelta(seconds=1))
    small = retention(world, looks_at_once=1)
    assert [small.work() for _ in range(5)] == [1, 1, 0, 0, 0]
