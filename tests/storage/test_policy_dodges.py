"""Ways around a policy that no move needs: each of them is closed, or told in the audit trail."""

from typing import Any

import pytest

from factories import Tenant
from management_api import ManagementApi
from runpass.server.access.permissions import ProjectRole
from runpass.server.templates.model import Template
from runpass.server.tenancy.model import Project

SHELL = {"type": "shell", "commands": ["true"], "destroyCommands": ["rm -rf everything"]}


@pytest.fixture
def protected(api: ManagementApi, project: Project) -> Project:
    """A project whose environments nobody destroys."""
    nothing = {"maxTtl": "inherit", "defaultTtl": "inherit"}
    api.call("PUT", "/policies", {"projectId": str(project.id), **nothing, "disableDestroyEnvironments": True})
    return project


def test_an_environment_that_is_made_to_be_destroyed_does_not_go_around_the_policy(
    api: ManagementApi, tenant: Tenant, protected: Project, template: Template
):
    """Its workspace may be that of another environment, and so may be what it destroys."""
    deployer = api.of(tenant, {protected.id: ProjectRole.DEPLOYER})
    body = {"name": "twin", "projectId": str(protected.id), "workspaceName": "production"}
    destroy = {"deploymentType": "destroy", "blueprintId": str(template.id)}
    for path, more in (
        ("/environments", {"deployRequest": destroy}),
        ("/environments/without-template", {**SHELL, "deployRequest": {"deploymentType": "destroy"}}),
    ):
        refused = deployer.call("POST", path, {**body, **more}, status=409)
        assert "policy" in refused["message"]
    assert api.call("GET", f"/environments?projectId={protected.id}") == []


def changes_told(api: ManagementApi, tenant: Tenant, environment_id: str) -> list[dict[str, Any]]:
    query = f"organizationId={tenant.id}&subjectId={environment_id}&action=environment.changed"
    return [event["detail"] for event in reversed(api.call("GET", f"/audit-events?{query}"))]


def test_who_switches_an_approval_off_is_told_with_what_was_switched(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    path = f"/environments/{tenant.environment(project, template).id}"
    deployer = api.of(tenant, {project.id: ProjectRole.DEPLOYER})
    for body in ({"requiresApproval": True}, {"requiresApproval": False}, {"requiresApproval": False}, {"name": "x"}):
        deployer.call("PUT", path, body)
    told = [detail.get("requiresApproval") for detail in changes_told(api, tenant, path.rsplit("/", 1)[1])]
    assert told == ["true", "false", None, None]
