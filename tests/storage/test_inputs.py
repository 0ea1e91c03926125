"""What a run is given: inherited, decided when it is queued, and frozen from then on."""

from datetime import timedelta

import pytest

from factories import Tenant, World, vault_oidc
from runpass.errors import Conflict, InvalidInput
from runpass.protocol.run_lease import Command, RunLease
from runpass.server.deployments import store
from runpass.server.deployments.handing import OIDC_TAG
from runpass.server.deployments.inputs import inputs_of
from runpass.server.deployments.model import DeployRequest, Inputs
from runpass.server.deployments.run_leases import take
from runpass.server.templates.store import change_template, detach
from runpass.server.tenancy.environment_store import get_environment, update_environment
from runpass.server.tenancy.model import Environment, Project
from runpass.server.variables.inheritance import places, resolve
from runpass.server.variables.model import VariableScope
from runpass.server.variables.store import delete_variable, list_variables


def queued(tenant: Tenant, environment: Environment) -> Inputs:
    deployment = tenant.queue(environment)
    with tenant.world.database.read() as tx:
        return inputs_of(tx, tenant.world.cipher, deployment)


def given(inputs: Inputs | RunLease) -> dict[str, str]:
    return {item.name: item.value.reveal() for item in inputs.variables}


def nested(tenant: Tenant) -> tuple[Project, Project, Environment]:
    root = tenant.project("root")
    leaf = tenant.project("leaf", root)
    return root, leaf, tenant.environment(leaf, tenant.template(leaf))


def test_the_nearest_place_decides_a_variable(tenant: Tenant):
    root, leaf, environment = nested(tenant)
    assert environment.template_id is not None
    order = [
        (VariableScope.GLOBAL, tenant.id),
        (VariableScope.BLUEPRINT, environment.template_id),
        (VariableScope.PROJECT, root.id),
        (VariableScope.PROJECT, leaf.id),
        (VariableScope.ENVIRONMENT, environment.id),
    ]
    for weakest in range(len(order)):
        for position, (scope, place) in enumerate(order[: weakest + 1]):
            tenant.variable(scope, place, f"V{weakest}", str(position))
    assert given(queued(tenant, environment)) == {f"V{n}": str(n) for n in range(len(order))}


def test_variables_of_siblings_other_templates_and_other_organizations_stay_away(tenant: Tenant, world: World):
    root, _, environment = nested(tenant)
    sibling = tenant.project("sibling", root)
    stranger = world.tenant("stranger")
    tenant.variable(VariableScope.PROJECT, sibling.id, "SIBLING", "x")
    tenant.variable(VariableScope.BLUEPRINT, tenant.template(name="other").id, "TEMPLATE", "x")
    tenant.variable(VariableScope.ENVIRONMENT, tenant.environment(sibling, None).id, "ENVIRONMENT", "x")
    stranger.variable(VariableScope.GLOBAL, stranger.id, "STRANGER", "x")
    assert given(queued(tenant, environment)) == {}


def test_a_sensitive_value_replaces_a_plain_one_and_says_so(tenant: Tenant):
    _, leaf, environment = nested(tenant)
    tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "plain")
    tenant.variable(VariableScope.PROJECT, leaf.id, "NAME", "hidden", is_sensitive=True)
    (variable,) = queued(tenant, environment).variables
    assert (variable.value.reveal(), variable.sensitive) == ("hidden", True)


def test_terraform_variables_are_handed_under_terraforms_name(tenant: Tenant):
    _, leaf, environment = nested(tenant)
    tenant.variable(VariableScope.PROJECT, leaf.id, "NAME", "terraform", type=1)
    tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "environment", type=0)
    assert given(queued(tenant, environment)) == {"NAME": "environment", "TF_VAR_NAME": "terraform"}


def test_what_was_decided_when_it_was_queued_stays_so(tenant: Tenant, world: World):
    project = tenant.project()
    template = tenant.template(project, commands=["first"])
    environment = tenant.environment(project, template)
    kept = tenant.variable(VariableScope.PROJECT, project.id, "NAME", "first")
    deployment = tenant.queue(environment)

    world.clock.advance(timedelta(minutes=1))
    tenant.variable(VariableScope.PROJECT, project.id, "NAME", "second")
    tenant.variable(VariableScope.PROJECT, project.id, "LATER", "x")
    with world.database.write() as tx:
        change_template(tx, template, {"source": {"commands": ["second"]}, "name": "renamed"}, world.clock.now())
        update_environment(tx, environment.id, {"name": "renamed"}, world.clock.now())
        delete_variable(tx, kept.id)
    lease = take(world.rules, tenant.runner())

    assert lease is not None
    assert lease.run.deployment_id == deployment.id
    assert given(lease) == {"NAME": "first"}
    assert lease.commands == (Command(step="shell:1", script="first"),)
    assert (lease.run.template_name, lease.run.environment_name) == ("template", "environment")


def test_credentials_are_those_assigned_when_the_run_starts(tenant: Tenant, world: World):
    project, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    late = tenant.credential(namespace="team")
    tenant.assign(late, project)
    lease = take(world.rules, tenant.runner())
    assert lease is not None
    assert [(item.credential_id, item.value) for item in lease.credentials] == [(late.id, vault_oidc(namespace="team"))]
    assert lease.identity


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        (VariableScope.GLOBAL, True),
        (VariableScope.PROJECT, True),
        (VariableScope.BLUEPRINT, False),
        (VariableScope.ENVIRONMENT, False),
    ],
)
def test_the_tag_of_a_token_comes_only_from_places_that_an_admin_decides(
    tenant: Tenant,
    scope: VariableScope,
    counts: bool,  # noqa: FBT001
):
    _, leaf, environment = nested(tenant)
    assert environment.template_id is not None
    place = {
        VariableScope.GLOBAL: tenant.id,
        VariableScope.PROJECT: leaf.id,
        VariableScope.BLUEPRINT: environment.template_id,
        VariableScope.ENVIRONMENT: environment.id,
    }[scope]
    tenant.variable(scope, place, OIDC_TAG, "tag")
    inputs = queued(tenant, environment)
    assert inputs.env0_tag == ("tag" if counts else None)
    assert given(inputs) == {}


def test_an_environment_cannot_replace_the_tag_that_its_project_decided(tenant: Tenant):
    root, leaf, environment = nested(tenant)
    tenant.variable(VariableScope.GLOBAL, tenant.id, OIDC_TAG, "organization")
    tenant.variable(VariableScope.PROJECT, root.id, OIDC_TAG, "root")
    tenant.variable(VariableScope.ENVIRONMENT, environment.id, OIDC_TAG, "environment")
    tenant.variable(VariableScope.PROJECT, leaf.id, OIDC_TAG, "terraform", type=1)
    assert queued(tenant, environment).env0_tag == "root"


def test_a_tag_that_no_token_could_carry_stops_the_deployment(tenant: Tenant):
    _, leaf, environment = nested(tenant)
    tenant.variable(VariableScope.PROJECT, leaf.id, OIDC_TAG, "x" * 1024)
    assert queued(tenant, environment).env0_tag == "x" * 1024
    tenant.variable(VariableScope.PROJECT, leaf.id, OIDC_TAG, "x" * 1025)
    with pytest.raises(InvalidInput, match="longer than 1024") as error:
        tenant.queue(environment)
    assert "xxx" not in error.value.message


def test_only_a_template_of_the_project_or_of_one_above_it_can_run(tenant: Tenant, world: World):
    root, leaf, environment = nested(tenant)
    of_root, of_nobody = tenant.template(root, name="root"), tenant.template(name="nobody")
    stranger = world.tenant("stranger")
    foreign = stranger.template(stranger.project())
    tenant.queue(environment, DeployRequest(of_root.id))
    for template in (of_nobody, foreign):
        with pytest.raises(InvalidInput) as error:
            tenant.queue(environment, DeployRequest(template.id))
        assert [item.field for item in error.value.errors] == ["blueprintId"]
    with world.database.write() as tx:
        assert environment.template_id is not None
        detach(tx, environment.template_id, leaf.id)
    with pytest.raises(InvalidInput):
        tenant.queue(environment)
    with world.database.write() as tx:
        change_template(tx, of_root, {"is_deleted": True}, world.clock.now())
    with pytest.raises(InvalidInput):
        tenant.queue(environment, DeployRequest(of_root.id))


def test_an_archived_environment_is_not_deployed(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    with world.database.write() as tx:
        update_environment(tx, environment.id, {"is_archived": True}, world.clock.now())
        archived = get_environment(tx, tenant.id, environment.id)
    assert archived is not None
    with pytest.raises(Conflict, match="archived"):
        tenant.queue(archived)
    with world.database.read() as tx:
        assert store.list_deployments(tx, environment.id, limit=1) == []


def test_the_places_of_an_environment_are_listed_weakest_first(tenant: Tenant, world: World):
    root, leaf, environment = nested(tenant)
    order = places(tenant.id, template_id=environment.template_id, path=leaf.path, environment_id=environment.id)
    assert [place for _, place in order] == [tenant.id, environment.template_id, root.id, leaf.id, environment.id]
    with world.database.read() as tx:
        assert resolve(order, list_variables(tx, world.cipher, tenant.id, order)) == []
