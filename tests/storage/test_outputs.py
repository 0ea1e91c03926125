"""Outputs: sealed, shown without what is sensitive, and handed only to those who may see their environment."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from factories import Tenant, World, holder
from runpass.errors import InvalidInput
from runpass.ids import ApiKeyId, new_id
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import Variable
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema.deployments import deployments
from runpass.server.deployments import store
from runpass.server.deployments.inputs import inputs_of
from runpass.server.deployments.model import Deployment, DeploymentType, DeployRequest
from runpass.server.deployments.outputs import shown_outputs
from runpass.server.deployments.queue import Queueing, queue_deployment
from runpass.server.deployments.run_leases import finish, take
from runpass.server.tenancy.model import Environment, Project
from runpass.server.tenancy.store import get_project
from runpass.server.variables.model import Details, ValueFormat, ValueSchema, VariableScope

SENSITIVE = "a-sensitive-output-77c1"
OUTPUTS: dict[str, dict[str, Any]] = {
    "url": {"value": "https://web.example.com", "sensitive": False, "type": "string"},
    "password": {"value": SENSITIVE, "sensitive": True, "type": "string"},
    "ports": {"value": [80, 443], "sensitive": False, "type": ["list", "number"]},
    "nothing": {"value": None, "sensitive": False, "type": "string"},
    "reference": {"value": "${vault:secret/data/app#key}", "sensitive": False, "type": "string"},
}
OF_OUTPUT = Details(value_schema=ValueSchema(format=ValueFormat.ENVIRONMENT_OUTPUT))


def deployed(
    tenant: Tenant,
    environment: Environment,
    outputs: object = OUTPUTS,
    wanted: DeployRequest | None = None,
    outcome: Outcome = Outcome.SUCCESS,
) -> Deployment:
    world, runner = tenant.world, tenant.runner()
    queued = tenant.queue(environment, wanted)
    lease = take(world.rules, runner)
    assert lease is not None
    text = Secret(outputs if isinstance(outputs, str) else json.dumps(outputs))
    finish(world.rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=outcome, outputs=text))
    with world.database.read() as tx:
        found = store.get_deployment(tx, tenant.id, queued.id)
    assert found is not None
    return found


def shown(tenant: Tenant, deployment: Deployment) -> dict[str, Any] | None:
    with tenant.world.database.read() as tx:
        return shown_outputs(tx, tenant.world.cipher, deployment)


def handed_to(tenant: Tenant, actor: Actor, environment: Environment) -> tuple[Variable, ...]:
    world = tenant.world
    how = Queueing(actor, world.cipher, world.clock, 3600.0)
    with world.database.write() as tx:
        project = get_project(tx, tenant.id, environment.project_id)
        assert project is not None
        queued = queue_deployment(tx, how, environment, project, DeployRequest())
        return inputs_of(tx, world.cipher, queued).variables


def test_a_sensitive_output_has_no_value_in_an_answer_and_none_stands_in_clear(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    found = deployed(tenant, environment)
    assert shown(tenant, found) == OUTPUTS | {"password": {"value": None, "sensitive": True, "type": "string"}}
    with world.database.read() as tx:
        row = tx.execute(select(deployments).where(deployments.c.id == found.id)).one()
    assert SENSITIVE not in str(row)
    assert SENSITIVE.encode() not in row.outputs_sealed
    assert SENSITIVE not in repr(found)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"a": 1}', '{"a": {"value": NaN}}', '{"a": {"value": "\\ud800"}}']
)
def test_what_is_no_outputs_is_not_kept_and_ends_the_run_all_the_same(tenant: Tenant, text: str):
    _, environment = tenant.somewhere_to_deploy()
    found = deployed(tenant, environment, text)
    assert (found.status.value, found.has_outputs) == ("SUCCESS", False)
    assert shown(tenant, found) is None


@pytest.mark.parametrize("case", ["failed", "task"])
def test_only_a_deploy_that_succeeded_gives_outputs(tenant: Tenant, case: str):
    _, environment = tenant.somewhere_to_deploy()
    wanted = DeployRequest(kind=DeploymentType.TASK, task_commands=("true",)) if case == "task" else None
    found = deployed(tenant, environment, OUTPUTS, wanted, Outcome.FAILURE if case == "failed" else Outcome.SUCCESS)
    assert not found.has_outputs


def other_environment(tenant: Tenant, name: str = "other") -> tuple[Project, Environment]:
    project = tenant.project(name)
    return project, tenant.environment(project, tenant.template(project, name=name), name)


def refer(tenant: Tenant, source: Environment, output: str, at: Environment, text: str = "{}") -> None:
    value = text.replace("{}", f"${{env0:{source.id}:{output}}}")
    tenant.variable(VariableScope.ENVIRONMENT, at.id, "FROM_OUTPUT", value, details=OF_OUTPUT)


def test_a_reference_becomes_the_newest_output_and_what_is_sensitive_stays_so(tenant: Tenant):
    _, source = tenant.somewhere_to_deploy()
    _, target = other_environment(tenant)
    deployed(tenant, source, {"url": {"value": "old"}})
    deployed(tenant, source)
    deployed(tenant, source, "not json")
    for output, text, sensitive in (
        ("url", "https://web.example.com", False),
        ("ports", "[80,443]", False),
        ("password", SENSITIVE, True),
    ):
        refer(tenant, source, output, target)
        (variable,) = handed_to(tenant, tenant.admin, target)
        assert (variable.name, variable.value.reveal(), variable.sensitive) == ("FROM_OUTPUT", text, sensitive)
    refer(tenant, source, "url", target, "at {}/path")
    (variable,) = handed_to(tenant, tenant.admin, target)
    assert variable.value.reveal() == "at https://web.example.com/path"


@pytest.mark.parametrize(
    ("output", "sentence"),
    [("absent", "is not there"), ("nothing", "has no value"), ("reference", "reference to a secret")],
)
def test_what_cannot_be_resolved_names_the_variable(tenant: Tenant, output: str, sentence: str):
    _, source = tenant.somewhere_to_deploy()
    _, target = other_environment(tenant)
    deployed(tenant, source)
    refer(tenant, source, output, target)
    with pytest.raises(InvalidInput, match=sentence) as error:
        handed_to(tenant, tenant.admin, target)
    assert [item.field for item in error.value.errors] == ["FROM_OUTPUT"]


def test_an_output_is_handed_only_to_who_may_see_its_environment(tenant: Tenant, world: World):
    source_project, source = tenant.somewhere_to_deploy()
    project, target = other_environment(tenant)
    deployed(tenant, source)
    refer(tenant, source, "url", target)
    roles = {project.id: ProjectRole.DEPLOYER}
    blind = Actor(ApiKeyId(new_id()), "blind", tenant.id, OrganizationRole.USER, roles)
    seeing = Actor(
        ApiKeyId(new_id()), "seeing", tenant.id, OrganizationRole.USER, roles | {source_project.id: ProjectRole.VIEWER}
    )
    with pytest.raises(InvalidInput, match="may not see"):
        handed_to(tenant, blind, target)
    (variable,) = handed_to(tenant, seeing, target)
    assert variable.value.reveal() == "https://web.example.com"

    stranger = world.tenant("stranger")
    _, theirs = other_environment(stranger)
    refer(stranger, source, "url", theirs)
    with pytest.raises(InvalidInput, match="may not see"):
        handed_to(stranger, stranger.admin, theirs)
