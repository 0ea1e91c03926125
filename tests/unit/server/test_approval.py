"""Approval: each ground can only add one, and who may only plan decides nothing of what is run."""

from dataclasses import fields
from itertools import product
from uuid import uuid4

import pytest

from runpass.errors import Forbidden, InvalidInput
from runpass.ids import ApiKeyId, OrganizationId, ProjectId
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.deployments.approval import Departures, Grounds, check_starter, check_task, needs_approval
from runpass.server.deployments.model import DeploymentType

ORGANIZATION, PROJECT = OrganizationId(uuid4()), ProjectId(uuid4())
HERE = ScopePath(ORGANIZATION, (PROJECT,))
NOTHING = Departures(template=False, repository=False, revision=False, variables=False)
QUIET = Grounds(environment_requires=False, policy_requires=False, is_asked_for=False, starter_may_apply=True)


def actor(role: ProjectRole | None) -> Actor:
    """Somebody with this role on the project; without one an admin of the organization."""
    key, name = ApiKeyId(uuid4()), "somebody"
    if role is None:
        return Actor(key, name, ORGANIZATION, OrganizationRole.ADMIN)
    return Actor(key, name, ORGANIZATION, OrganizationRole.USER, {PROJECT: role})


ADMIN, DEPLOYER, PLANNER, VIEWER = (
    actor(None),
    actor(ProjectRole.DEPLOYER),
    actor(ProjectRole.PLANNER),
    actor(ProjectRole.VIEWER),
)


def grounds(*, environment: bool, policy: bool, asked: bool, may_apply: bool) -> Grounds:
    return Grounds(
        environment_requires=environment, policy_requires=policy, is_asked_for=asked, starter_may_apply=may_apply
    )


@pytest.mark.parametrize(("environment", "policy", "asked", "may_apply"), [*product([False, True], repeat=4)])
def test_only_without_any_ground_is_there_no_approval(
    environment: bool,  # noqa: FBT001 -- one column of the table
    policy: bool,  # noqa: FBT001
    asked: bool,  # noqa: FBT001
    may_apply: bool,  # noqa: FBT001
):
    found = grounds(environment=environment, policy=policy, asked=asked, may_apply=may_apply)
    assert needs_approval(found) is not (may_apply and not (environment or policy or asked))


@pytest.mark.parametrize(("environment", "policy", "asked"), [*product([False, True], repeat=3)])
def test_who_may_only_plan_always_needs_one(
    environment: bool,  # noqa: FBT001 -- one column of the table
    policy: bool,  # noqa: FBT001
    asked: bool,  # noqa: FBT001
):
    assert needs_approval(grounds(environment=environment, policy=policy, asked=asked, may_apply=False))


@pytest.mark.parametrize("name", ["environment_requires", "policy_requires", "is_asked_for"])
def test_adding_a_ground_never_takes_an_approval_away(name: str):
    others = [item.name for item in fields(Grounds) if item.name != name]
    for values in product([False, True], repeat=len(others)):
        rest = dict(zip(others, values, strict=True))
        without, with_it = Grounds(**rest, **{name: False}), Grounds(**rest, **{name: True})
        assert needs_approval(with_it) >= needs_approval(without)
        assert needs_approval(with_it)


@pytest.mark.parametrize("kind", [DeploymentType.DEPLOY, DeploymentType.DESTROY])
def test_a_planner_may_start_what_the_template_says(kind: DeploymentType):
    check_starter(PLANNER, HERE, kind, NOTHING)
    with pytest.raises(Forbidden, match="RUN_PLAN"):
        check_starter(VIEWER, HERE, kind, NOTHING)


@pytest.mark.parametrize("field", [item.name for item in fields(Departures)])
@pytest.mark.parametrize("kind", [DeploymentType.DEPLOY, DeploymentType.DESTROY])
def test_a_planner_may_depart_from_it_in_nothing_and_a_deployer_in_everything(field: str, kind: DeploymentType):
    departs = Departures(**{item.name: item.name == field for item in fields(Departures)})
    with pytest.raises(Forbidden):
        check_starter(PLANNER, HERE, kind, departs)
    check_starter(DEPLOYER, HERE, kind, departs)


def test_only_an_organizations_admin_runs_tasks():
    check_starter(ADMIN, HERE, DeploymentType.TASK, NOTHING)
    for other in (DEPLOYER, PLANNER, actor(ProjectRole.ADMIN)):
        with pytest.raises(Forbidden, match="RUN_TASK"):
            check_starter(other, HERE, DeploymentType.TASK, NOTHING)


def test_a_task_is_no_way_around_an_approval():
    required = grounds(environment=True, policy=False, asked=False, may_apply=True)
    check_task(DEPLOYER, ScopePath(ORGANIZATION), QUIET)
    check_task(ADMIN, ScopePath(ORGANIZATION), required)
    with pytest.raises(Forbidden, match="without one"):
        check_task(DEPLOYER, ScopePath(ORGANIZATION), required)
    asked = grounds(environment=False, policy=False, asked=True, may_apply=True)
    with pytest.raises(InvalidInput) as error:
        check_task(ADMIN, ScopePath(ORGANIZATION), asked)
    assert [item.field for item in error.value.errors] == ["userRequiresApproval"]
