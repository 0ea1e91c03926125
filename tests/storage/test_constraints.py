"""What the database itself refuses, whoever asks."""

import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from factories import Tenant, World
from runpass.errors import Conflict, RunpassError
from runpass.ids import AssignmentId, RunLeaseId, VariableId, new_id
from runpass.server.credentials.model import Assignment
from runpass.server.credentials.store import get_assignment, insert_assignment
from runpass.server.db.engine import Database
from runpass.server.db.schema.deployments import deployments, run_leases
from runpass.server.db.schema.issuer import signing_keys
from runpass.server.db.schema.templates import template_projects
from runpass.server.db.schema.variables import variables
from runpass.server.deployments.run_leases import take
from runpass.server.http.errors import status_of
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.store import insert_key
from runpass.server.runners.store import pool_id
from runpass.server.variables.model import VariableScope
from runpass.server.variables.store import insert_variable


@pytest.mark.parametrize(
    "columns",
    [
        {"value": "clear", "is_sensitive": True},
        {"value": None, "is_sensitive": False},
        {"value_sealed": b"sealed", "is_sensitive": False},
        {"value": None, "value_sealed": None, "is_sensitive": True},
    ],
    ids=["sensitive but in clear", "neither", "both", "sensitive but nowhere"],
)
def test_a_variable_has_exactly_the_one_value_that_its_kind_wants(tenant: Tenant, database: Database, columns: dict):
    made = tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "clear")
    with pytest.raises(RunpassError, match="one_value") as error, database.write() as tx:
        tx.execute(update(variables).where(variables.c.id == made.id).values(**columns))
    assert status_of(error.value) == 500  # a mistake of ours, which no caller could mend
    assert "clear" not in "".join(traceback.format_exception(error.value)).replace(made.name, "")


def test_a_row_without_what_it_needs_is_a_mistake_of_ours_too(tenant: Tenant, database: Database):
    half = _half_a_deployment(tenant)
    with pytest.raises(RunpassError, match="started_by") as error, database.write() as tx:
        tx.execute(deployments.insert().values(id=new_id(), **half))
    assert status_of(error.value) == 500


def _half_a_deployment(tenant: Tenant) -> dict[str, Any]:
    _, environment = tenant.somewhere_to_deploy()
    made = tenant.queue(environment)
    names = ("organization_id", "project_id", "environment_id", "template_id", "pool_id", "type", "status")
    left = ("phase", "requires_approval", "comment", "revision", "timeout_seconds", "queued_at")
    sealed = {"inputs_sealed": b"sealed", "trigger_name": made.trigger}
    return {name: getattr(made, name) for name in (*names, *left)} | sealed


def test_a_place_has_one_variable_of_a_name_and_type(tenant: Tenant, world: World):
    made = tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "value")
    twin = replace(made, id=VariableId(new_id()))
    with pytest.raises(Conflict), world.database.write() as tx:
        insert_variable(tx, world.cipher, twin)
    tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "value", type=1)


def test_a_credential_is_assigned_to_a_project_once(tenant: Tenant, world: World):
    project, credential = tenant.project(), tenant.credential()
    first = tenant.assign(credential, project)
    again = Assignment(AssignmentId(new_id()), tenant.id, credential.id, project.id, "test", world.clock.now())
    with world.database.write() as tx:
        assert not insert_assignment(tx, again)
        assert get_assignment(tx, credential.id, project.id) == first


def test_a_template_is_attached_to_a_project_once(tenant: Tenant, database: Database):
    project = tenant.project()
    template = tenant.template(project)
    row = {"id": new_id(), "organization_id": tenant.id, "template_id": template.id, "project_id": project.id}
    with pytest.raises(Conflict), database.write() as tx:
        tx.execute(template_projects.insert().values(**row))


def test_a_deployment_has_one_live_run_lease(tenant: Tenant, world: World):
    tenant.queue(tenant.somewhere_to_deploy()[1])
    runner = tenant.runner(capacity=2)
    lease = take(world.rules, runner)
    assert lease is not None
    row = {
        "id": RunLeaseId(new_id()),
        "organization_id": tenant.id,
        "deployment_id": lease.run.deployment_id,
        "runner_id": runner.id,
        "secret_sha256": bytes(32),
        "fencing_token": 2,
        "taken_at": world.clock.now(),
        "expires_at": world.clock.now(),
    }
    with pytest.raises(Conflict), world.database.write() as tx:
        tx.execute(run_leases.insert().values(**row))
    with world.database.write() as tx:
        tx.execute(update(run_leases).values(ended_at=world.clock.now()))
    with pytest.raises(Conflict), world.database.write() as tx:  # nor the number of a lease that ended
        tx.execute(run_leases.insert().values(**row | {"fencing_token": lease.fencing_token}))


@pytest.mark.parametrize("status", ["IN_PROGRESS", "WAITING_FOR_USER", "ABORTING"])
def test_an_environment_is_occupied_by_one_deployment(tenant: Tenant, database: Database, status: str):
    _, environment = tenant.somewhere_to_deploy()
    first, second = tenant.queue(environment), tenant.queue(environment)
    with database.write() as tx:
        tx.execute(update(deployments).where(deployments.c.id == first.id).values(status=status))
    with pytest.raises(Conflict), database.write() as tx:
        tx.execute(update(deployments).where(deployments.c.id == second.id).values(status="IN_PROGRESS"))


def test_one_signing_key_is_active(world: World):
    with world.database.write() as tx:
        insert_key(tx, world.cipher, new_key(world.clock.now()))
    with pytest.raises(Conflict), world.database.write() as tx:
        insert_key(tx, world.cipher, new_key(world.clock.now()))
    with world.database.read() as tx:
        assert len(tx.execute(signing_keys.select()).all()) == 1


def test_two_organizations_never_share_a_name(world: World):
    world.tenant("acme")
    with pytest.raises(Conflict):
        world.tenant("acme")


def test_a_pool_that_many_ask_for_at_once_is_made_once(tenant: Tenant, world: World):
    def ask(_: int):
        with world.database.write() as tx:
            return pool_id(tx, tenant.id, "new", world.clock.now())

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1
