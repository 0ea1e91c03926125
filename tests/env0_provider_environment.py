"""env0's Terraform provider, the resource `env0_environment`, and the table of every kind that is played here."""

from typing import Any

import env0_provider as base
from env0_provider import NOT_DESTROYED, POLICIES, VARIABLE_TYPES, Env0Api, Kind, ProviderError, State, only


def _changes(wanted: State) -> list[dict[str, Any]]:
    return [
        {
            "name": item["name"],
            "value": item["value"],
            "scope": "DEPLOYMENT",
            "type": VARIABLE_TYPES[item.get("type", "environment")],
            "isSensitive": item.get("is_sensitive", False),
            "schema": {"type": "string"},
            **only({"description": item.get("description")}),
        }
        for item in wanted.get("configuration", [])
    ]


def _lifespan(wanted: State) -> dict[str, Any]:
    return {"type": "DATE", "value": wanted["ttl"]} if wanted.get("ttl") else {"type": "INFINITE"}


def _create(api: Env0Api, wanted: State) -> str:
    api.call("GET", f"/blueprints/{wanted['template_id']}")
    changes = {"configurationChanges": _changes(wanted)} if wanted.get("configuration") else {}
    deploy = {"blueprintId": wanted["template_id"], **only({"blueprintRevision": wanted.get("revision")}), **changes}
    body = {
        "name": wanted["name"],
        "projectId": wanted["project_id"],
        "deployRequest": deploy,
        "autoDeployByCustomGlob": "",
        "autoDeployOnPathChangesOnly": wanted.get("auto_deploy_on_path_changes_only", True),
        "vcsCommandsAlias": "",
        "isRemoteApplyEnabled": False,
        "requiresApproval": not wanted.get("approve_plan_automatically", True),
        **only({"workspaceName": wanted.get("workspace")}),
        **changes,
        **({"ttl": _lifespan(wanted)} if wanted.get("ttl") else {}),
    }
    made = api.call("POST", "/environments", body)
    assert made["latestDeploymentLogId"]
    assert made["latestDeploymentLog"]["id"] == made["latestDeploymentLogId"]
    return made["id"]


def _read(api: Env0Api, state: State) -> State:
    found = api.call("GET", f"/environments/{state['id']}")
    stored = _variables(api, state["id"])
    assert api.call("GET", f"/configuration-sets/assignments/environment/{state['id']}") == []
    latest = found["latestDeploymentLog"]
    return {
        "name": found["name"],
        "project_id": found["projectId"],
        "workspace": found["workspaceName"],
        "template_id": latest["blueprintId"],
        "revision": latest["blueprintRevision"] or None,
        "approve_plan_automatically": not found["requiresApproval"],
        "auto_deploy_on_path_changes_only": found["autoDeployOnPathChangesOnly"],
        "ttl": found["lifespanEndAt"] or None,
        "configuration": _as_configured(state.get("configuration", []), stored),
        "vcs_commands_alias": found["vcsCommandsAlias"],
        "is_remote_apply_enabled": found["isRemoteApplyEnabled"],
    }


def _variables(api: Env0Api, environment_id: str) -> list[dict[str, Any]]:
    query = {"organizationId": api.organization_id, "environmentId": environment_id}
    found = api.call("GET", "configuration", **query)
    return [item for item in found if item["scope"] == "ENVIRONMENT" and item["scopeId"] == environment_id]


def _as_configured(known: list[State], stored: list[dict[str, Any]]) -> list[State]:
    """Variables in the order of the configuration; a sensitive value stays as the state has it."""
    by_name = {(item["name"], item["type"]): item for item in stored}
    found = []
    for item in known:
        answer = by_name.pop((item["name"], VARIABLE_TYPES[item.get("type", "environment")]), None)
        if answer is None:
            continue
        value = item["value"] if answer["isSensitive"] else answer["value"]
        assert answer["isSensitive"] == item.get("is_sensitive", False)
        assert answer["schema"]["type"] == "string"
        found.append({**item, "value": value})
    return found + [{"name": item["name"], "value": item["value"]} for item in by_name.values()]


def _update(api: Env0Api, state: State, wanted: State) -> None:
    settings = {"name", "approve_plan_automatically", "auto_deploy_on_path_changes_only"}
    if any(state.get(name) != wanted[name] for name in settings & set(wanted)):
        body: dict[str, Any] = {"name": wanted["name"], "autoDeployByCustomGlob": "", "isRemoteApplyEnabled": False}
        if state.get("approve_plan_automatically") != wanted.get("approve_plan_automatically"):
            body["requiresApproval"] = not wanted.get("approve_plan_automatically", True)
        api.call("PUT", f"/environments/{state['id']}", body)
    if state.get("ttl") != wanted.get("ttl"):
        api.call("PUT", f"/environments/{state['id']}/ttl", _lifespan(wanted))
    if (state.get("revision"), state.get("configuration", [])) != (
        wanted.get("revision"),
        wanted.get("configuration", []),
    ):
        _deploy(api, state, wanted)


def _deploy(api: Env0Api, state: State, wanted: State) -> None:
    """Deploy again: variables that are known by name carry their id, those that are no longer wanted `toDelete`."""
    stored = {(item["name"], item["type"]): item for item in _variables(api, state["id"])}
    changes = _changes(wanted)
    for change in changes:
        known = stored.pop((change["name"], change["type"]), None)
        if known:
            change["id"] = known["id"]
    gone = [{**only(item), "toDelete": True} for item in stored.values()]
    body = {"blueprintId": wanted["template_id"], **only({"blueprintRevision": wanted.get("revision")})}
    api.call("POST", f"/environments/{state['id']}/deployments", {**body, "configurationChanges": [*changes, *gone]})


def _destroy(api: Env0Api, state: State) -> None:
    if not state.get("force_destroy"):
        raise ProviderError('must enable "force_destroy" safeguard in order to destroy')
    status, answer = api.ask("POST", f"/environments/{state['id']}/destroy")
    if status == 400:
        return
    if not 200 <= status < 300:
        raise ProviderError(f"could not delete environment: {status}: {answer}")
    if state.get("wait_for_destroy"):
        ended = base.wait_for(api, answer["id"])
        if ended in NOT_DESTROYED:
            raise ProviderError(f"the destroy ended as {ended}")


def _forget_policy(api: Env0Api, _: State) -> None:
    base.save_policy(api, {})


def _update_policy(api: Env0Api, _: State, wanted: State) -> None:
    base.save_policy(api, wanted)


CREDENTIAL = frozenset({"name", "address", "version", "role_name", "jwt_auth_backend_path", "namespace", "project_id"})
TEMPLATE = frozenset({"name", "description", "type", "repository", "revision", "path", "terraform_version"})
RETRIES = frozenset({"retries_on_deploy", "retries_on_destroy"}) | frozenset(
    f"retry_on_{on}_only_when_matches_regex" for on in ("deploy", "destroy")
)
ENVIRONMENT = frozenset(
    {"name", "project_id", "template_id", "workspace", "revision", "approve_plan_automatically", "ttl", "configuration"}
    | {"force_destroy", "wait_for_destroy", "auto_deploy_on_path_changes_only"}
)
VARIABLE = frozenset(
    {"name", "value", "type", "is_sensitive", "description", "enum", "project_id", "template_id", "environment_id"}
)

KINDS = {
    "env0_organization_policy": Kind(
        frozenset(POLICIES), base.save_policy, base.read_policy, _forget_policy, _update_policy, importable=False
    ),
    "env0_project": Kind(
        frozenset({"name", "description", "parent_project_id", "force_destroy"}),
        base.create_project,
        base.read_project,
        base.delete_project,
        base.update_project,
    ),
    "env0_vault_oidc_credentials": Kind(
        CREDENTIAL,
        base.create_vault_oidc,
        base.read_credential,
        base.delete_credential,
        base.update_vault_oidc,
        forces_new=frozenset({"name", "project_id"}),
    ),
    "env0_cloud_credentials_project_assignment": Kind(
        frozenset({"credential_id", "project_id"}), base.assign, base.read_assignment, base.unassign, importable=False
    ),
    "env0_template": Kind(
        TEMPLATE | RETRIES, base.create_template, base.read_template, base.delete_template, base.update_template
    ),
    "env0_template_project_assignment": Kind(
        frozenset({"template_id", "project_id"}), base.attach, base.read_attachment, base.detach, importable=False
    ),
    "env0_configuration_variable": Kind(
        VARIABLE, base.create_variable, base.read_variable, base.delete_variable, base.update_variable
    ),
    "env0_environment": Kind(
        ENVIRONMENT, _create, _read, _destroy, _update, forces_new=frozenset({"project_id", "workspace"})
    ),
    "env0_api_key": Kind(
        frozenset({"name", "organization_role", "omit_api_key_secret"}), base.create_key, base.read_key, base.delete_key
    ),
}
