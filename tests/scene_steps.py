"""What tests on the scene of the system tests do with deployments that wait for an approval."""

import time
from typing import Any

from runpass.api_client import FINAL
from runpass.local.admin import Admin
from scene import Scene

ROUTE = "/environments/deployments"


def until(client: Admin, deployment_id: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = client.call("GET", f"{ROUTE}/{deployment_id}")
        if found["status"] == status:
            return found
        assert found["status"] not in FINAL, (found["error"], client.log(deployment_id))
        assert time.monotonic() < deadline, found["status"]
        time.sleep(0.2)


def environment_of(scene: Scene, project: str, template: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Make a template and an environment of it that is not deployed yet."""
    api, name = scene.api, scene.unique("approval")
    made = api.call("POST", "/blueprints", {"name": name, "organizationId": api.organization_id, **template})
    api.call("PATCH", f"/blueprints/{made['id']}/projects", {"projectId": project})
    request = {
        "name": name,
        "projectId": project,
        "deployRequest": {"blueprintId": made["id"]},
        "preventAutoDeploy": True,
        **body,
    }
    environment: dict[str, Any] = api.call("POST", "/environments", request)
    return environment
