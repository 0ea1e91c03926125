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


def told(api: ManagementApi, tenant: Tenant, subject: object, action: str) -> list[dict[str, Any]]:
    """Give the details of events, oldest first."""
    query = f"organizationId={tenant.id}&subjectId={subject}&action={action}"
    return [event["detail"] for event in reversed(api.call("GET", f"/audit-events?{query}"))]


def test_who_switches_an_approval_off_is_told_with_what_was_switched(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    path = f"/environments/{tenant.environment(project, template).id}"
    deployer = api.of(tenant, {project.id: ProjectRole.DEPLOYER})
    for body in ({"requiresApproval": True}, {"requiresApproval": False}, {"requiresApproval": False}, {"name": "x"}):
        deployer.call("PUT", path, body)
    changes = told(api, tenant, path.rsplit("/", 1)[1], "environment.changed")
    assert [detail.get("requiresApproval") for detail in changes] == ["true", "false", None, None]


def test_who_takes_an_environments_end_away_with_a_deployment_is_told(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    environment = tenant.environment(project, template)
    for ttl in ({"type": "DATE", "value": "2026-02-03T04:05:06Z"}, {"type": "INFINITE"}, None):
        api.call("POST", f"/environments/{environment.id}/deployments", {"ttl": ttl}, status=201)
    ends = told(api, tenant, environment.id, "environment.ttl_changed")
    assert [detail["lifespanEndAt"] for detail in ends] == ["2026-02-03T04:05:06+00:00", ""]


def test_every_policy_that_is_changed_is_told_with_its_new_value(api: ManagementApi, tenant: Tenant, project: Project):
    lives = {"maxTtl": "2-d", "defaultTtl": "1-d"}
    api.call("PUT", "/policies", {"projectId": str(project.id), **lives})
    (of_project,) = told(api, tenant, project.id, "project.policy_changed")
    assert lives.items() <= of_project.items()
    api.call("POST", f"/organizations/{tenant.id}/policies", {**lives, "requiresApproval": True})
    api.call("POST", f"/organizations/{tenant.id}/policies", {"maxTtl": None})
    first, second = told(api, tenant, tenant.id, "organization.policies_changed")
    assert first == {"max_ttl": "2-d", "default_ttl": "1-d", "requires_approval": "true"}
    assert second == {"max_ttl": "none"}


def test_what_a_new_key_may_do_is_told_with_every_project(api: ManagementApi, tenant: Tenant):
    one, two, three = (str(tenant.project(name).id) for name in ("one", "two", "three"))
    roles = [
        {"projectId": item, "projectRole": role} for item, role in ((one, "Admin"), (two, "Viewer"), (three, "Admin"))
    ]
    permissions = {"organizationRole": "User", "projectsPermissions": roles}
    made = api.call(
        "POST", "/api-keys", {"name": "k", "organizationId": str(tenant.id), "permissions": permissions}, status=201
    )
    (detail,) = told(api, tenant, made["id"], "api_key.created")
    both = " ".join(sorted((one, three)))
    assert detail == {"name": "k", "organizationRole": "User", "projectsAdmin": both, "projectsViewer": two}


def test_where_a_credential_sends_login_tokens_is_told_whenever_it_is_changed(api: ManagementApi, tenant: Tenant):
    value = {"address": "https://vault.example.com", "version": "1", "roleName": "r", "jwtAuthBackendPath": "jwt"}
    made = {"name": "vault", "type": "VAULT_OIDC", "organizationId": str(tenant.id), "value": value}
    credential = api.call("POST", "/credentials", made, status=201)["id"]
    elsewhere = {"type": "VAULT_OIDC", "value": {**value, "address": "https://elsewhere.example.com"}}
    api.call("PATCH", f"/credentials/{credential}", elsewhere)
    (created,) = told(api, tenant, credential, "credential.created")
    (changed,) = told(api, tenant, credential, "credential.changed")
    assert (created["address"], changed["address"]) == (value["address"], "https://elsewhere.example.com")
    assert changed["role"] == "r"
