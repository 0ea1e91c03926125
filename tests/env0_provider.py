"""env0's Terraform provider as a server sees it: for each resource, its calls and the fields that it reads.

Written from the provider's behaviour (`client/*.go` and `env0/resource_*.go` of env0/terraform-provider-env0), with its
own rules: which fields are always sent, what counts as gone, what a second plan compares.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

State = dict[str, Any]
GONE: State = {}
NOT_DESTROYED = {"TIMEOUT", "FAILURE", "CANCELLED", "INTERNAL_FAILURE", "ABORTED", "SKIPPED", "NEVER_DEPLOYED"}
VARIABLE_TYPES = {"environment": 0, "terraform": 1}


class ProviderError(AssertionError):
    """What the provider would print and stop at."""


@dataclass
class Env0Api:
    """The provider's HTTP client: Basic authentication, JSON, a path prefix in the endpoint."""

    http: httpx2.Client
    organization_id: str = ""
    sent: list[tuple[str, str, Any]] = field(default_factory=list)

    def start(self) -> None:
        """The first call of every run: exactly one organization, or one must be configured."""
        organizations = self.call("GET", "/organizations")
        if len(organizations) != 1:
            raise ProviderError("organization_id must be configured")
        self.organization_id = organizations[0]["id"]

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        found, answer = self.ask(method, path, body, **query)
        if not 200 <= found < 300:
            raise ProviderError(f"{method} {path}: {found}: {answer}")
        return answer

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        self.sent.append((method, path, body))
        answer = self.http.request(method, path.removeprefix("/"), json=body, params=query)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status_code, answer.json() if is_json and answer.content else answer.text

    def listed(self, path: str) -> list[dict[str, Any]]:
        return self.call("GET", path, organizationId=self.organization_id)


@dataclass(frozen=True)
class Kind:
    """How the provider handles one kind of resource."""

    attributes: frozenset[str]
    create: Callable[[Env0Api, State], str]
    read: Callable[[Env0Api, State], State]
    delete: Callable[[Env0Api, State], None]
    update: Callable[[Env0Api, State, State], None] | None = None
    forces_new: frozenset[str] = frozenset()
    importable: bool = True


def apply(api: Env0Api, kind: Kind, wanted: Mapping[str, Any]) -> State:
    """Create a resource and read it back, as Terraform does at the end of an apply."""
    unknown = set(wanted) - kind.attributes
    assert not unknown, f"the provider has no such attributes, or nobody plays them here: {unknown}"
    return refresh(api, kind, {**wanted, "id": kind.create(api, dict(wanted))})


def refresh(api: Env0Api, kind: Kind, state: State) -> State:
    """Read a resource; what the API does not tell stays as the state has it."""
    found = kind.read(api, state)
    return GONE if found is GONE else {**state, **found}


def plan(wanted: Mapping[str, Any], state: State) -> dict[str, tuple[Any, Any]]:
    """Give what a plan would change: attribute → (what the state has, what the configuration wants)."""
    return {name: (state.get(name), value) for name, value in wanted.items() if state.get(name) != value}


def only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Go's `omitempty`."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


# --- organization policy

POLICIES = ("max_ttl", "default_ttl", "enable_oidc")


def policy_body(wanted: State) -> dict[str, Any]:
    body = {"maxTtl": wanted.get("max_ttl"), "defaultTtl": wanted.get("default_ttl")}
    return body | ({"enableOidc": wanted["enable_oidc"]} if "enable_oidc" in wanted else {})


def save_policy(api: Env0Api, wanted: State) -> str:
    answer = api.call("POST", f"/organizations/{api.organization_id}/policies", policy_body(wanted))
    return answer["id"]


def read_policy(api: Env0Api, _: State) -> State:
    found = api.call("GET", "/organizations")[0]
    return {"max_ttl": found["maxTtl"], "default_ttl": found["defaultTtl"], "enable_oidc": found["enableOidc"]}


# --- project


def create_project(api: Env0Api, wanted: State) -> str:
    body = {"name": wanted["name"], "description": wanted.get("description", ""), "tags": wanted.get("tags")}
    body |= only({"parentProjectId": wanted.get("parent_project_id")})
    return api.call("POST", "/projects", {**body, "organizationId": api.organization_id})["id"]


def read_project(api: Env0Api, state: State) -> State:
    status, found = api.ask("GET", f"/projects/{state['id']}")
    if status == 404:
        return GONE
    assert status == 200, found
    parent = found.get("parentProjectId") or None
    return {"name": found["name"], "description": found["description"], "parent_project_id": parent}


def update_project(api: Env0Api, state: State, wanted: State) -> None:
    if state.get("parent_project_id") != wanted.get("parent_project_id"):
        target = wanted.get("parent_project_id") or None
        api.call("POST", f"/projects/{state['id']}/move", {"targetProjectId": target})
    body = {"name": wanted["name"], "description": wanted.get("description", ""), "tags": wanted.get("tags")}
    api.call("PUT", f"/projects/{state['id']}", body)


def delete_project(api: Env0Api, state: State) -> None:
    if not state.get("force_destroy"):
        found = api.call("GET", "/environments", projectId=state["id"], limit="100", offset="0")
        if any(not item.get("isArchived") for item in found):
            raise ProviderError("could not delete project: found an active environment")
    api.call("DELETE", f"/projects/{state['id']}")


# --- credentials and their assignment

VAULT_FIELDS = {
    "address": "address",
    "version": "version",
    "role_name": "roleName",
    "jwt_auth_backend_path": "jwtAuthBackendPath",
    "namespace": "namespace",
}


def vault_value(wanted: State) -> dict[str, Any]:
    value = {wire: wanted[name] for name, wire in VAULT_FIELDS.items() if name in wanted}
    return value if value.get("namespace") else {k: v for k, v in value.items() if k != "namespace"}


def create_vault_oidc(api: Env0Api, wanted: State) -> str:
    where = {"projectId": wanted["project_id"]} if wanted.get("project_id") else {"organizationId": api.organization_id}
    body = {"name": wanted["name"], "type": "VAULT_OIDC", "value": vault_value(wanted), **where}
    return api.call("POST", "/credentials", body)["id"]


def read_credential(api: Env0Api, state: State) -> State:
    found = [item for item in api.listed("/credentials") if item["id"] == state["id"]]
    if not found:
        return GONE
    assert found[0]["value"] is None
    return {"name": found[0]["name"], "project_id": found[0].get("projectId") or None}


def update_vault_oidc(api: Env0Api, state: State, wanted: State) -> None:
    body = {"type": "VAULT_OIDC", "value": vault_value(wanted), "organizationId": api.organization_id}
    api.call("PATCH", f"/credentials/{state['id']}", body)


def delete_credential(api: Env0Api, state: State) -> None:
    api.call("DELETE", f"/credentials/{state['id']}")


def assign(api: Env0Api, wanted: State) -> str:
    path = f"/credentials/deployment/{wanted['credential_id']}/project/{wanted['project_id']}"
    answer = api.call("PUT", path)
    assert answer["credentialId"]
    assert answer["projectId"]
    return f"{answer['credentialId']}|{answer['projectId']}"


def read_assignment(api: Env0Api, state: State) -> State:
    found = api.call("GET", f"/credentials/deployment/project/{state['project_id']}")
    if state["credential_id"] not in found["credentialIds"]:
        return GONE
    return {name: state[name] for name in ("credential_id", "project_id")}


def unassign(api: Env0Api, state: State) -> None:
    api.call("DELETE", f"/credentials/deployment/{state['credential_id']}/project/{state['project_id']}")


# --- template and its assignment

TEMPLATE_FLAGS = (
    "isGitLab",
    "isGitLabEnterprise",
    "isGitHubEnterprise",
    "isBitbucketServer",
    "isTerragruntRunAll",
    "isAzureDevOps",
    "isHelmRepository",
)


def retry(wanted: State, on: str) -> dict[str, Any] | None:
    times = wanted.get(f"retries_on_{on}")
    regex = wanted.get(f"retry_on_{on}_only_when_matches_regex")
    return {"times": times, **only({"errorRegex": regex})} if times else None


def template_body(wanted: State) -> dict[str, Any]:
    always = {"name": wanted["name"], "description": wanted.get("description", ""), "repository": wanted["repository"]}
    always |= {"type": wanted.get("type", "terraform"), "revision": wanted.get("revision", "")}
    always |= {"retry": {"onDeploy": retry(wanted, "deploy"), "onDestroy": retry(wanted, "destroy")}}
    always |= dict.fromkeys(TEMPLATE_FLAGS, False)
    return always | only({"path": wanted.get("path"), "terraformVersion": wanted.get("terraform_version")})


def create_template(api: Env0Api, wanted: State) -> str:
    return api.call("POST", "/blueprints", {**template_body(wanted), "organizationId": api.organization_id})["id"]


def read_template(api: Env0Api, state: State) -> State:
    found = api.call("GET", f"/blueprints/{state['id']}")
    if found["isDeleted"]:
        return GONE
    assert not any(found[flag] for flag in TEMPLATE_FLAGS)
    read = {name: found[name] for name in ("name", "description", "type", "repository", "revision")}
    read |= {"path": found.get("path") or None, "terraform_version": found.get("terraformVersion") or None}
    for on, again in (("deploy", found["retry"]["onDeploy"]), ("destroy", found["retry"]["onDestroy"])):
        read[f"retries_on_{on}"] = again["times"] if again else 0
        read[f"retry_on_{on}_only_when_matches_regex"] = (again or {}).get("errorRegex") or ""
    return read


def update_template(api: Env0Api, state: State, wanted: State) -> None:
    body = {**template_body(wanted), "organizationId": api.organization_id}
    api.call("PUT", f"/blueprints/{state['id']}", body)


def delete_template(api: Env0Api, state: State) -> None:
    api.call("DELETE", f"/blueprints/{state['id']}")


def attach(api: Env0Api, wanted: State) -> str:
    body = {"projectId": wanted["project_id"]}
    template = api.call("PATCH", f"/blueprints/{wanted['template_id']}/projects", body)
    return f"{template['id']}|{wanted['project_id']}"


def read_attachment(api: Env0Api, state: State) -> State:
    found = api.call("GET", f"/blueprints/{state['template_id']}")
    if found["isDeleted"] or state["project_id"] not in found["projectIds"]:
        return GONE
    return {name: state[name] for name in ("template_id", "project_id")}


def detach(api: Env0Api, state: State) -> None:
    api.call("DELETE", f"/blueprints/{state['template_id']}/projects/{state['project_id']}")


# --- configuration variable

SCOPES = {"project_id": "PROJECT", "template_id": "BLUEPRINT", "environment_id": "ENVIRONMENT"}


def scope(wanted: State) -> dict[str, Any]:
    found = next(((level, wanted[name]) for name, level in SCOPES.items() if wanted.get(name)), None)
    return {"scope": found[0], "scopeId": found[1]} if found else {"scope": "GLOBAL"}


def variable_body(api: Env0Api, wanted: State) -> dict[str, Any]:
    schema = {"type": "string"} | only({"enum": wanted.get("enum"), "format": wanted.get("format")})
    return {
        "name": wanted["name"],
        "value": wanted["value"],
        "isSensitive": wanted.get("is_sensitive", False),
        "type": VARIABLE_TYPES[wanted.get("type", "environment")],
        "schema": schema,
        "organizationId": api.organization_id,
        "isReadonly": False,
        "isRequired": False,
        **only({"description": wanted.get("description")}),
        **scope(wanted),
    }


def create_variable(api: Env0Api, wanted: State) -> str:
    return api.call("POST", "configuration", [variable_body(api, wanted)])[0]["id"]


def read_variable(api: Env0Api, state: State) -> State:
    status, found = api.ask("GET", f"/configuration/{state['id']}")
    if status == 404:
        return GONE
    assert status == 200, found
    value = state["value"] if found["isSensitive"] else found["value"]
    kind = {number: name for name, number in VARIABLE_TYPES.items()}[found["type"]]
    schema = found.get("schema") or {}
    read = {"name": found["name"], "value": value, "description": found.get("description") or None}
    return read | {"is_sensitive": found["isSensitive"], "enum": schema.get("enum") or None, "type": kind}


def update_variable(api: Env0Api, state: State, wanted: State) -> None:
    api.call("POST", "configuration", [{"id": state["id"], **variable_body(api, wanted)}])


def delete_variable(api: Env0Api, state: State) -> None:
    api.call("DELETE", f"configuration/{state['id']}")


# --- API key


def create_key(api: Env0Api, wanted: State) -> str:
    permissions = {"organizationRole": wanted.get("organization_role", "Admin")}
    body = {"name": wanted["name"], "permissions": permissions, "organizationId": api.organization_id}
    made = api.call("POST", "/api-keys", body)
    assert made["apiKeySecret"]
    assert made["apiKeyId"]
    return made["id"]


def read_key(api: Env0Api, state: State) -> State:
    found = [item for item in api.listed("/api-keys") if item["id"] == state["id"]]
    if not found:
        return GONE
    assert not found[0].get("apiKeySecret")
    return {"name": found[0]["name"], "organization_role": found[0]["organizationRole"]}


def delete_key(api: Env0Api, state: State) -> None:
    api.call("DELETE", f"/api-keys/{state['id']}")


# --- what stands above everything else


def wait_for(api: Env0Api, deployment_id: str, *, seconds: float = 60.0) -> str:
    """Give how a deployment ended."""
    deadline = time.monotonic() + seconds
    while True:
        status = api.call("GET", f"/environments/deployments/{deployment_id}")["status"]
        if status == "SUCCESS" or status in NOT_DESTROYED or status == "WAITING_FOR_USER":
            return status
        assert time.monotonic() < deadline, f"still {status}"
        time.sleep(0.1)
