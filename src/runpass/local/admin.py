"""An organization's admin at the management API: what the demo, `up`, the benchmarks and the tests ask of it."""

import json
from collections.abc import Mapping
from threading import Event
from typing import Any, Final

from runpass.api_client import FINAL, ApiClient, Connection
from runpass.clock import SYSTEM_CLOCK
from runpass.errors import ControlPlaneError, TooManyRequests
from runpass.secret import Secret

_QUICK_SECONDS: Final = 0.02
_SLOW_SECONDS: Final = 0.2
_QUICK_FOR_SECONDS: Final = 2.0
"""How long it is asked quickly: a wait of a minute must stay well below a server's 1000 requests for one path."""
_PATIENCE_SECONDS: Final = 60.0


class Admin(ApiClient):
    """The API client with the guide's steps as methods."""

    def __init__(self, url: str, organization_id: str, key_id: str, key_secret: Secret) -> None:
        super().__init__(
            Connection(url=url, api_key_id=key_id, api_key_secret=key_secret, organization_id=organization_id)
        )
        self._key = (key_id, key_secret)

    def at(self, url: str) -> "Admin":
        """Give the same admin at another server of the same instance."""
        return Admin(url, self.organization_id, *self._key)

    def key_file(self) -> str:
        """Give what a file for `RUNPASS_API_KEY_FILE` holds. SECURITY: it is for a file of mode 0600 only."""
        key_id, key_secret = self._key
        values = {"organizationId": self.organization_id, "apiKeyId": key_id, "apiKeySecret": key_secret.reveal()}
        return json.dumps(values)

    def find(self, path: str, name: str) -> str | None:
        """Give the id of the thing of this name in a list, or None."""
        found = self.of_organization(path)
        return next((str(item["id"]) for item in found if item["name"] == name), None)

    def outstanding(self, deployment_id: str | None = None) -> dict[str, Any]:
        """Give what the server knows of Vault tokens that ended runs have left, and what it does not know."""
        return self.one(
            "GET", "/vault-tokens/outstanding", organizationId=self.organization_id, deploymentId=deployment_id
        )

    def enable_oidc(self) -> None:
        """Let every job of the organization hold a token of its own."""
        self.call("POST", f"/organizations/{self.organization_id}/policies", {"enableOidc": True})

    def join_token(self, uses: int) -> Secret:
        """Make a join token for the default pool."""
        body = {"organizationId": self.organization_id, "uses": uses, "lifetimeSeconds": 600}
        return Secret(self.call("POST", "/runners/join-tokens", body)["joinToken"])

    def project(self, name: str) -> str:
        """Make a project; give its id."""
        answer = self.call("POST", "/projects", {"name": name, "organizationId": self.organization_id})
        return str(answer["id"])

    def credential(self, name: str, address: str, role: str, mount: str) -> str:
        """Make a Vault OIDC credential of the organization; give its id."""
        value = {"address": address, "version": "2.7.2", "roleName": role, "jwtAuthBackendPath": mount}
        body = {"name": name, "type": "VAULT_OIDC", "value": value, "organizationId": self.organization_id}
        return str(self.call("POST", "/credentials", body)["id"])

    def assign(self, credential_id: str, project_id: str) -> None:
        """Let a project use a credential."""
        self.call("PUT", f"/credentials/deployment/{credential_id}/project/{project_id}")

    def deploy(
        self, name: str, project_id: str, commands: list[str], variables: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Make a template and an environment, deploy it, wait for the end; give the deployment."""
        return self.wait(self.start(name, project_id, commands, variables))

    def start(self, name: str, project_id: str, commands: list[str], variables: Mapping[str, str] | None = None) -> str:
        """Make a template and an environment and deploy it; give the deployment's id."""
        template = {"name": name, "type": "shell", "commands": commands, "organizationId": self.organization_id}
        template_id = self.call("POST", "/blueprints", template)["id"]
        self.call("PATCH", f"/blueprints/{template_id}/projects", {"projectId": project_id})
        changes = [{"name": key, "value": value} for key, value in (variables or {}).items()]
        environment = {
            "name": name,
            "projectId": project_id,
            "deployRequest": {"blueprintId": template_id},
            "configurationChanges": changes,
        }
        started: str = self.call("POST", "/environments", environment)["latestDeploymentLogId"]
        return started

    def wait(self, deployment_id: str) -> dict[str, Any]:
        """Give a deployment once it has ended. Raises `ControlPlaneError` if that takes more than a minute.

        Raises `TooManyRequests` where the server wants it to ask again later than that.
        """
        began, pause, status = SYSTEM_CLOCK.monotonic(), Event(), "not seen"
        while (waited := SYSTEM_CLOCK.monotonic() - began) <= _PATIENCE_SECONDS:
            seconds = _QUICK_SECONDS if waited < _QUICK_FOR_SECONDS else _SLOW_SECONDS
            try:
                deployment: dict[str, Any] = self.call("GET", f"/environments/deployments/{deployment_id}")
            except TooManyRequests as error:
                if waited + error.retry_after_seconds > _PATIENCE_SECONDS:
                    raise
                seconds = float(error.retry_after_seconds)
            else:
                status = deployment["status"]
                if status in FINAL:
                    return deployment
            pause.wait(seconds)
        raise ControlPlaneError(f"the deployment {deployment_id} did not end: {status}")

    def steps(self, deployment_id: str) -> list[dict[str, Any]]:
        """Give a deployment's steps in order."""
        steps: list[dict[str, Any]] = self.call("GET", f"/deployments/{deployment_id}/steps")
        return steps

    def events(self, deployment_id: str, step: str) -> list[dict[str, Any]]:
        """Give all log events of a step that are there now."""
        found: list[dict[str, Any]] = []
        cursor = "0"
        while True:
            page = self.one("GET", "/deployments", deployment_id, "steps", step, "log", startTime=cursor)
            found += page["events"]
            if not page["events"] or page["nextStartTime"] is None:
                return found
            cursor = page["nextStartTime"]

    def log(self, deployment_id: str) -> str:
        """Give a deployment's whole log as text, a heading for each step."""
        lines: list[str] = []
        for step in self.steps(deployment_id):
            lines.append(f"── {step['name']} ({step['status']})")
            lines.extend("   " + event["message"] for event in self.events(deployment_id, step["name"]))
        return "\n".join(lines) + "\n"
