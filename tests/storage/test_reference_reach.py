"""How far `${env0:…}` reaches: what its writer may see, and no further than a run can carry."""

import json
import tracemalloc
from typing import Any

import pytest

from factories import Tenant, holder
from management_api import ManagementApi
from runpass.errors import InvalidInput
from runpass.ids import new_id
from runpass.protocol.reports import Finish, Outcome
from runpass.secret import Secret
from runpass.server.access.permissions import ProjectRole
from runpass.server.deployments.run_leases import finish, take
from runpass.server.tenancy.model import Environment, Project
from runpass.server.variables.model import Details, ValueFormat, ValueSchema, VariableScope

MIB = 2**20
OF_OUTPUT = Details(value_schema=ValueSchema(format=ValueFormat.ENVIRONMENT_OUTPUT))


def somewhere(tenant: Tenant, name: str) -> Environment:
    project = tenant.project(name)
    return tenant.environment(project, tenant.template(project, name=name), name)


def deployed(tenant: Tenant, environment: Environment, **values: str) -> None:
    """Let a run of the environment give these outputs back."""
    world, runner = tenant.world, tenant.runner()
    tenant.queue(environment)
    lease = take(world.rules, runner)
    assert lease is not None
    text = Secret(json.dumps({name: {"value": value} for name, value in values.items()}))
    last_word = Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS, outputs=text)
    finish(world.rules, holder(runner, lease), last_word)


def measured(tenant: Tenant, environment: Environment) -> tuple[InvalidInput, int]:
    """Queue a deployment that is refused; give how, and the most memory that it took."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match="longer than") as error:
            tenant.queue(environment)
        return error.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def body(tenant: Tenant, scope: str, place: object, value: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "TAKEN",
        "value": value,
        "scope": scope,
        "scopeId": str(place),
        "organizationId": str(tenant.id),
        **more,
    }


@pytest.fixture
def hidden(tenant: Tenant) -> Environment:
    """An environment with outputs, in a project that the callers here may not see."""
    environment = somewhere(tenant, "hidden")
    deployed(tenant, environment, url="https://web.example.com", password="hunter2")
    return environment


@pytest.mark.parametrize("role", [ProjectRole.DEPLOYER, ProjectRole.ADMIN])
def test_nobody_leaves_a_reference_for_somebody_who_sees_more(
    api: ManagementApi, tenant: Tenant, project: Project, hidden: Environment, role: ProjectRole
):
    """The run of an admin would bring the output to the writer's own code."""
    environment = tenant.environment(project, tenant.template(project))
    caller = api.of(tenant, {project.id: role})
    scope, place = ("ENVIRONMENT", environment.id) if role is ProjectRole.DEPLOYER else ("PROJECT", project.id)
    for unseen in (hidden.id, new_id()):
        value = f"${{env0:{unseen}:password}}"
        schema = {"schema": {"format": "ENVIRONMENT_OUTPUT"}}
        for written in (
            body(tenant, scope, place, value),
            body(tenant, scope, place, value, isSensitive=True),
            body(tenant, scope, place, f"a {value} b", **schema),
        ):
            refused = caller.call("POST", "/configuration", [written], status=422)
            assert [item["field"] for item in refused["errors"]] == ["value"]
            assert str(unseen) not in str(refused)
        change = {"configurationChanges": [{"name": "TAKEN", "value": value}]}
        refused = caller.call("POST", f"/environments/{environment.id}/deployments", change, status=422)
        assert [item["field"] for item in refused["errors"]] == ["configurationChanges.0.value"]
    text = body(tenant, scope, place, f"a ${{env0:{hidden.id}:password}} b")
    caller.call("POST", "/configuration", [text])  # no reference without the format
    text["schema"] = {"format": "ENVIRONMENT_OUTPUT"}
    caller.call("POST", "/configuration", [text], status=422)


def test_a_reference_is_kept_by_whoever_changes_something_else_of_its_variable(
    api: ManagementApi, tenant: Tenant, project: Project, hidden: Environment
):
    environment = tenant.environment(project, tenant.template(project))
    deployer = api.of(tenant, {project.id: ProjectRole.DEPLOYER})
    written = body(tenant, "ENVIRONMENT", environment.id, f"${{env0:{hidden.id}:url}}")
    (made,) = api.call("POST", "/configuration", [written])
    deployer.call("POST", "/configuration", [{**written, "description": "theirs"}])
    deployer.call("POST", "/configuration", [{**written, "id": made["id"], "name": "RENAMED"}])
    deployer.call("POST", "/configuration", [{**written, "value": f"${{env0:{hidden.id}:password}}"}], status=422)


def test_a_variable_of_many_references_is_refused_before_it_is_put_together(tenant: Tenant):
    """64 KiB of references to one large output would else become more than a gigabyte."""
    source, target = somewhere(tenant, "source"), somewhere(tenant, "target")
    deployed(tenant, source, x="v" * (MIB - 100))
    reference = f"${{env0:{source.id}:x}}"
    many = reference * (65_536 // len(reference))
    tenant.variable(VariableScope.ENVIRONMENT, target.id, "MANY", many, details=OF_OUTPUT)
    error, peak = measured(tenant, target)
    assert peak < 50 * MIB
    assert [item.field for item in error.errors] == ["MANY"]


def test_many_variables_of_one_large_output_are_refused_before_all_are_put_together(tenant: Tenant):
    source, target = somewhere(tenant, "source"), somewhere(tenant, "target")
    deployed(tenant, source, x="v" * 100_000)
    for number in range(300):
        value = f"{number}${{env0:{source.id}:x}}"
        tenant.variable(VariableScope.ENVIRONMENT, target.id, f"LARGE_{number}", value, details=OF_OUTPUT)
    _, peak = measured(tenant, target)
    assert peak < 20 * MIB


def test_a_variable_that_may_not_be_seen_is_as_unknown_as_one_that_is_not_there(
    api: ManagementApi, tenant: Tenant, project: Project, hidden: Environment
):
    deployer = api.of(tenant, {project.id: ProjectRole.DEPLOYER})
    there = tenant.variable(VariableScope.ENVIRONMENT, hidden.id, "NAME", "value").id
    for method in ("GET", "DELETE"):
        seen, absent = (deployer.call(method, f"/configuration/{item}", status=404) for item in (there, new_id()))
        assert seen["message"] == absent["message"]
