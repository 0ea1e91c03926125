"""`targets` of a deploy: what a runner is told to plan, and where they would be dropped."""

from typing import Any
from uuid import UUID

import pytest

from factories import Tenant
from management_api import ManagementApi
from runpass.server.deployments.run_leases import take
from runpass.server.templates.model import GitSource, Template
from runpass.server.tenancy.model import Project

CODE = GitSource(repository="https://git.example.com/a.git")


def created(api: ManagementApi, project: Project, template: Template, **more: Any) -> dict[str, Any]:
    deploy = {"blueprintId": str(template.id), **more.pop("deployRequest", {})}
    body = {"name": "made", "projectId": str(project.id), "deployRequest": deploy, **more}
    answer: dict[str, Any] = api.call("POST", "/environments", body, status=201)
    return answer


@pytest.mark.parametrize("targets", ["module.a,x.y", ["module.a", "x.y"]])
def test_targets_limit_the_plan_and_are_frozen_with_it(
    api: ManagementApi, tenant: Tenant, project: Project, targets: Any
):
    code = tenant.template(project, name="code", terraform=CODE)
    made = created(api, project, code, deployRequest={"targets": targets})
    lease = take(tenant.world.rules, tenant.runner())
    assert lease is not None
    assert lease.run.deployment_id == UUID(made["latestDeploymentLogId"])
    (plan,) = (command.script for command in lease.commands if command.step == "tf:plan")
    assert plan.endswith(" -target=module.a -target=x.y\n")


@pytest.mark.parametrize(
    ("terraform", "more", "sentence"),
    [
        (False, {}, "must be empty: a template of type shell has no resources"),
        (True, {"deploymentType": "destroy"}, "are for deploys"),
        (True, {"deploymentType": "task", "taskCommands": ["true"]}, "are for deploys"),
    ],
)
def test_targets_that_would_be_dropped_are_refused(
    api: ManagementApi,
    tenant: Tenant,
    project: Project,
    *,
    terraform: bool,
    more: dict[str, Any],
    sentence: str,
):
    source = CODE if terraform else None
    made = created(api, project, tenant.template(project, terraform=source), preventAutoDeploy=True)
    answer = api.call("POST", f"/environments/{made['id']}/deployments", {"targets": "module.a", **more}, status=422)
    assert [error["field"] for error in answer["errors"]] == ["targets"]
    assert sentence in answer["message"]
