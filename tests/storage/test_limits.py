"""Limits in number and size, credentials that the policy forbids by now, and what goes with a deleted project."""

import pytest
from sqlalchemy import func, select, text

from factories import Tenant, World
from runpass.errors import Conflict, InvalidInput
from runpass.ids import EnvironmentId, new_id
from runpass.server.db.schema.variables import variables
from runpass.server.deployments import store
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.deployments.references import MAX_VARIABLE_BYTES, MAX_VARIABLES_BYTES
from runpass.server.deployments.run_leases import take
from runpass.server.deployments.store import latest_deployments, latest_query
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.tree_store import delete_project
from runpass.server.variables.model import Details, ValueSchema, VariableScope
from runpass.server.variables.saving import MOST_CHARACTERS, MOST_VARIABLES

CLEAR = "http://vault.example.com:8200"


def test_a_place_has_so_many_variables_and_no_more(tenant: Tenant, world: World):
    project = tenant.project()
    first = tenant.variable(VariableScope.PROJECT, project.id, "NAME", "value")
    columns = {
        "organization_id": tenant.id,
        "scope": "PROJECT",
        "scope_id": project.id,
        "type": 0,
        "value": "",
        "is_sensitive": False,
        "extra": {},
        "created_by": "test",
        "created_at": first.created_at,
        "updated_at": first.updated_at,
    }
    rows = [{"id": new_id(), "name": f"N{number}", **columns} for number in range(MOST_VARIABLES - 1)]
    with world.database.write() as tx:
        tx.execute(variables.insert(), rows)
    with pytest.raises(InvalidInput, match="500 variables at this place already"):
        tenant.variable(VariableScope.PROJECT, project.id, "ONE_MORE", "value")
    changed = tenant.variable(VariableScope.PROJECT, project.id, "NAME", "another")
    assert (changed.id, changed.value.reveal()) == (first.id, "another")
    tenant.variable(VariableScope.GLOBAL, tenant.id, "ONE_MORE", "value")


@pytest.mark.parametrize("what", ["values", "sensitive values", "descriptions", "allowed values"])
def test_a_place_has_so_much_in_its_variables_and_no_more(tenant: Tenant, what: str):
    project, large = tenant.project(), "x" * 65_536
    details = {
        "descriptions": Details(description=large),
        "allowed values": Details(value_schema=ValueSchema(enum=("x", large))),
    }.get(what, Details())

    def save(name: str) -> None:
        value = large if "values" in what and details == Details() else "x"
        more = {"is_sensitive": what == "sensitive values", "details": details}
        tenant.variable(VariableScope.PROJECT, project.id, name, value, **more)

    fitting = MOST_CHARACTERS // 65_536 - 1
    for number in range(fitting):
        save(f"N{number}")
    save("N0")
    with pytest.raises(InvalidInput, match="characters together") as error:
        save("ONE_MORE")
    assert "xxx" not in error.value.message
    tenant.variable(VariableScope.PROJECT, project.id, "N1", "")
    tenant.variable(VariableScope.GLOBAL, tenant.id, "ONE_MORE", large)


def test_a_variable_that_no_program_could_be_started_with_is_refused_when_queued(tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    most = "\u00e9" * ((MAX_VARIABLE_BYTES - len("NAME=") - 1) // 2)
    tenant.variable(VariableScope.ENVIRONMENT, environment.id, "NAME", most)
    tenant.queue(environment)
    tenant.variable(VariableScope.ENVIRONMENT, environment.id, "NAME", most + "x", is_sensitive=True)
    with pytest.raises(InvalidInput, match="the variable NAME is longer than 131072 bytes") as error:
        tenant.queue(environment)
    assert "\u00e9" not in error.value.message


def test_variables_that_are_too_long_together_are_refused_when_queued(tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    piece = 65_536 - len("N00=") - 1
    for number in range(MAX_VARIABLES_BYTES // 65_536):
        tenant.variable(VariableScope.ENVIRONMENT, environment.id, f"N{number:02}", "x" * piece)
    tenant.queue(environment)
    tenant.variable(VariableScope.GLOBAL, tenant.id, "ONE_MORE", "x")
    with pytest.raises(InvalidInput, match="longer than 1048576 bytes together"):
        tenant.queue(environment)


def permit(tenant: Tenant, *, clear_text: bool) -> None:
    tenant.set_organization(allow_clear_text_vault=clear_text)


def test_a_credential_in_clear_text_counts_only_while_the_policy_permits_it(tenant: Tenant, world: World):
    project, environment = tenant.somewhere_to_deploy()
    tenant.assign(tenant.credential(name="in the clear", address=CLEAR), project)
    with pytest.raises(Conflict, match=r"the credential in the clear .* allowClearTextVault"):
        tenant.queue(environment)
    permit(tenant, clear_text=True)
    refused, following = tenant.queue(environment), tenant.queue(environment)
    permit(tenant, clear_text=False)

    elsewhere = tenant.project("elsewhere")
    good = tenant.queue(tenant.environment(elsewhere, tenant.template(elsewhere)))
    lease = take(world.rules, tenant.runner())

    assert lease is not None
    assert lease.run.deployment_id == good.id
    with world.database.read() as tx:
        ended = [store.get_deployment(tx, tenant.id, item.id) for item in (refused, following)]
    assert [item.status for item in ended if item] == [DeploymentStatus.INTERNAL_FAILURE] * 2
    assert all("in the clear" in (item.error or "") for item in ended if item)


def plan(world: World, environment_ids: list[EnvironmentId]) -> str:
    query = latest_query(environment_ids).compile(
        world.database.engine, compile_kwargs={"literal_binds": True, "render_postcompile": True}
    )
    how = "EXPLAIN QUERY PLAN " if world.database.is_sqlite else "EXPLAIN "
    with world.database.write() as tx:
        if not world.database.is_sqlite:
            tx.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(str(tuple(row)) for row in tx.execute(text(how + str(query))))


def test_the_newest_deployments_are_one_query_that_looks_into_the_index(tenant: Tenant, world: World):
    project = tenant.project()
    template = tenant.template(project)
    places = [tenant.environment(project, template, f"e{number}") for number in range(3)]
    never = tenant.environment(project, template, "never")
    for place in places:
        tenant.queue(place)
    newest = {place.id: tenant.queue(place) for place in places}
    wanted = [*newest, never.id]
    with world.database.read() as tx:
        assert latest_deployments(tx, wanted) == newest
        assert latest_deployments(tx, [places[0].id]) == {places[0].id: newest[places[0].id]}
        assert latest_deployments(tx, []) == {}
    found = plan(world, wanted)
    assert "ix_deployments_environment_id_id" in found
    assert "SCAN" not in found.replace("SCAN CONSTANT", "")
    assert "Seq Scan" not in found


def test_a_deleted_project_takes_its_own_variables_along(tenant: Tenant, world: World):
    project, other = tenant.project(), tenant.project("other")
    for place in (project, other):
        tenant.variable(VariableScope.PROJECT, place.id, "CLEAR", "value")
        tenant.variable(VariableScope.PROJECT, place.id, "SEALED", "value", is_sensitive=True)
    tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "value")
    with world.database.write() as tx:
        delete_project(tx, project, world.clock.now())
    assert left(world, project) == 0
    assert left(world, other) == 2


def left(world: World, project: Project) -> int:
    with world.database.read() as tx:
        there = select(func.count()).select_from(variables).where(variables.c.scope_id == project.id)
        return int(tx.execute(there).scalar_one())
