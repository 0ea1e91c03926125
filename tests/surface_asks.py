"""A valid request for each route of the surface, and the ways to spoil one.

A new route makes the tests of the surface fail until somebody writes one down here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from uuid import UUID

from json_places import leaves, replaced
from surface_ask import Ask
from surface_bearer_asks import id_token, introspection, runner_door
from surface_scene import Things


def asks(things: Things) -> list[Ask]:
    """Give a valid request for every route: an admin, or the right runner, gets a good answer to each."""
    ids = {name: str(value) for name, value in things.ids.items()}
    # What a job asks for comes first: no run goes on any more after the rest.
    return [
        *_public(ids),
        id_token(things, ids),
        introspection(things),
        *_management(ids),
        *_environments(ids),
        *runner_door(things, ids),
    ]


def _public(ids: dict[str, str]) -> list[Ask]:
    documents = ("/.well-known/openid-configuration", "/.well-known/jwks.json")
    own = {"organization_id": ids["organization"]}
    return [
        *(Ask(f"GET {path}") for path in ("/", "/healthz", "/readyz", "/metrics", *documents)),
        Ask("GET /.well-known/jwks/{name}.json", {"name": "x" * 32}),
        *(Ask(f"GET /o/{{organization_id}}{path}", own) for path in documents),
    ]


_ORACLE = {
    "tenancyOcid": "ocid1.tenancy",
    "userOcid": "ocid1.user",
    "fingerprint": "12:34",
    "privateKey": "-----BEGIN PRIVATE KEY-----",
    "region": "eu-frankfurt-1",
}


def _management(ids: dict[str, str]) -> list[Ask]:
    organization = {"organizationId": ids["organization"]}
    project = {"project_id": ids["project"]}
    vault = {
        "address": "https://vault.example.com",
        "version": "1.18.0",
        "roleName": "deploy",
        "jwtAuthBackendPath": "jwt",
        "namespace": "team",
        "tokenFormat": "v1",
    }
    roles = [{"projectId": ids["project"], "projectRole": "Viewer"}]
    permissions = {"organizationRole": "User", "projectsPermissions": roles}
    return [
        Ask("GET /api/organizations"),
        Ask(
            "POST /api/organizations/{organization_id}/policies",
            {"organization_id": ids["organization"]},
            body={
                "maxTtl": "1-h",
                "enableOidc": True,
                "allowClearTextVault": False,
                "requiresApproval": False,
                "identityAwsTags": True,
                "identityPrefixedClaims": True,
            },
        ),
        Ask(
            "POST /api/organizations/{organization_id}/subject-preview",
            {"organization_id": ids["organization"]},
            body={
                "environmentId": ids["environment"],
                "credentialId": ids["assigned"],
                "identitySubject": ["organizationId", "projectId"],
                "newProjectName": "another",
                "roles": [{"name": "deploy", "role": "{}"}],
            },
        ),
        Ask(
            "POST /api/relying-parties",
            body={"name": "new", **organization, "audiences": ["https://sts.example.com"]},
        ),
        Ask("GET /api/relying-parties", query=organization),
        Ask("DELETE /api/relying-parties/{party_id}", {"party_id": ids["relying party"]}),
        Ask("GET /api/organizations/{organization_id}/issuer", {"organization_id": ids["organization"]}),
        Ask("GET /api/organizations/{organization_id}/recorded-issuers", {"organization_id": ids["organization"]}),
        Ask("GET /api/api-keys", query=organization),
        Ask("GET /api/api-keys/oidc-sub", query=organization),
        Ask("POST /api/api-keys", body={"name": "new", **organization, "permissions": permissions}),
        Ask("DELETE /api/api-keys/{key_id}", {"key_id": ids["key"]}),
        Ask("GET /api/projects", query={**organization, "limit": "10", "offset": "0"}),
        Ask("GET /api/projects/{project_id}", project),
        Ask(
            "POST /api/projects",
            body={
                "name": "new",
                **organization,
                "description": "text",
                "tags": ["tag"],
                "parentProjectId": ids["parent"],
            },
        ),
        Ask("PUT /api/projects/{project_id}", project, body={"name": "new", "description": "text", "tags": ["tag"]}),
        Ask("DELETE /api/projects/{project_id}", {"project_id": ids["empty project"]}),
        Ask(
            "POST /api/projects/{project_id}/move",
            {"project_id": ids["empty project"]},
            body={"targetProjectId": ids["project"]},
        ),
        Ask("GET /api/policies", query={"projectId": ids["project"]}),
        Ask("PUT /api/policies", body={"projectId": ids["project"], "maxTtl": "1-h", "requiresApprovalDefault": False}),
        Ask("GET /api/credentials", query=organization),
        Ask(
            "PUT /api/credentials/{credential_id}/recorded-role",
            {"credential_id": ids["credential"]},
            body={"roleName": "deploy", "mount": "jwt", "namespace": "team", "role": "{}", "config": "{}"},
        ),
        *(
            Ask(f"{method} /api/credentials/{{credential_id}}/jwks-url", {"credential_id": ids["credential"]})
            for method in ("PUT", "GET", "DELETE")
        ),
        Ask(
            "POST /api/connection-tests",
            body={"projectId": ids["project"], "credentialId": ids["assigned"], "paths": ["kv/app.password"]},
        ),
        Ask("GET /api/connection-tests/{test_id}", {"test_id": ids["queued test"]}),
        Ask("POST /api/credentials", body={"name": "new", "type": "VAULT_OIDC", "value": vault, **organization}),
        Ask(
            "POST /api/credentials",
            body={"name": "new", "type": "VAULT_OIDC", "value": vault, "projectId": ids["project"]},
            about="of a project",
        ),
        Ask(
            "POST /api/credentials",
            body={"name": "new", "type": "OCI_API_KEY_FOR_DEPLOYMENT", "value": _ORACLE, **organization},
            about="with a secret",
        ),
        Ask(
            "PATCH /api/credentials/{credential_id}",
            {"credential_id": ids["credential"]},
            body={"type": "VAULT_OIDC", "value": vault},
        ),
        Ask("DELETE /api/credentials/{credential_id}", {"credential_id": ids["credential"]}),
        Ask(
            "PUT /api/credentials/deployment/{credential_id}/project/{project_id}",
            {"credential_id": ids["credential"], **project},
        ),
        Ask("GET /api/credentials/deployment/project/{project_id}", project),
        Ask(
            "DELETE /api/credentials/deployment/{credential_id}/project/{project_id}",
            {"credential_id": ids["assigned"], **project},
        ),
        *_templates(ids),
        *_variables(ids),
        Ask(
            "POST /api/runners/join-tokens", body={**organization, "pool": "default", "uses": 1, "lifetimeSeconds": 60}
        ),
        Ask("GET /api/runners", query=organization),
        Ask("DELETE /api/runners/{runner_id}", {"runner_id": ids["runner"]}),
        Ask("GET /api/vault-tokens/outstanding", query=organization),
        Ask(
            "GET /api/vault-tokens/outstanding",
            query={**organization, "deploymentId": ids["running"]},
            about="of a deployment",
        ),
        Ask("GET /api/audit-events", query=organization),
    ]


def _templates(ids: dict[str, str]) -> list[Ask]:
    organization = {"organizationId": ids["organization"]}
    project = {"project_id": ids["project"]}
    commands = {"commands": ["true"], "planCommands": ["true"], "destroyCommands": ["true"]}
    shell = {"name": "new", "type": "shell", "description": "text", **commands}
    code = {"name": "new", "type": "terraform", "repository": "https://git.example.com/code"}
    again = {"times": 2, "errorRegex": "time.*out"}
    kinds = ("GitLab", "GitLabEnterprise", "GitHubEnterprise", "BitbucketServer", "AzureDevOps", "TerragruntRunAll")
    of_repository = {
        **code,
        "description": "text",
        "revision": "main",
        "path": "infra",
        "retry": {"onDeploy": again, "onDestroy": again},
        **{f"is{kind}": False for kind in (*kinds, "HelmRepository")},
    }
    texts = ("tokenId", "tokenName", "vcsConnectionId", "bitbucketClientKey", "fileName", "helmChartName")
    versions = ("terraformVersion", "opentofuVersion", "terragruntVersion", "terragruntTfBinary", "ansibleVersion")
    with_ids = {
        **code,
        "sshKeys": [{"id": "text", "name": "text"}],
        "githubInstallationId": 7,
        **dict.fromkeys((*texts, *versions), "text"),
    }
    return [
        Ask("GET /api/blueprints", query={**organization, "name": "template"}),
        Ask(
            "GET /api/blueprints",
            query={"projectId": ids["project"], "limit": "1", "offset": "0"},
            about="of a project",
        ),
        Ask("GET /api/blueprints/variables-from-repository"),
        Ask("GET /api/blueprints/{template_id}", {"template_id": ids["template"]}),
        Ask("POST /api/blueprints", body={**shell, **organization}),
        Ask("POST /api/blueprints", body={**of_repository, **organization}, about="of a repository"),
        Ask("POST /api/blueprints", body={**with_ids, **organization}, about="with env0's ids"),
        Ask("PUT /api/blueprints/{template_id}", {"template_id": ids["template"]}, body=shell),
        Ask("DELETE /api/blueprints/{template_id}", {"template_id": ids["template"]}),
        Ask(
            "PATCH /api/blueprints/{template_id}/projects",
            {"template_id": ids["template"]},
            body={"projectId": ids["parent"]},
        ),
        Ask(
            "DELETE /api/blueprints/{template_id}/projects/{project_id}", {"template_id": ids["detachable"], **project}
        ),
    ]


def _variables(ids: dict[str, str]) -> list[Ask]:
    organization = {"organizationId": ids["organization"]}
    scopes = {"GLOBAL": None, "BLUEPRINT": "template", "PROJECT": "project", "ENVIRONMENT": "environment"}
    found = [
        Ask("GET /api/configuration", query={**organization, **place}, about=", ".join(place))
        for place in (
            {"projectId": ids["project"]},
            {"blueprintId": ids["template"]},
            {"environmentId": ids["environment"]},
            {"projectId": ids["project"], "environmentId": ids["environment"]},
        )
    ]
    for scope, place in scopes.items():
        variable = {
            "name": "NEW",
            "value": "text",
            "scope": scope,
            **({"scopeId": ids[place]} if place else {}),
            **organization,
            "type": 0,
            "isSensitive": True,
            "isReadonly": False,
            "isRequired": False,
            "description": "text",
            "regex": ".*",
            "schema": {"type": "string", "enum": ["text"], "format": "JSON"},
        }
        one = {"variable_id": ids[f"{scope} variable"]}
        found.append(Ask("POST /api/configuration", body=[variable], about=scope))
        known = {**variable, "id": ids[f"{scope} variable"]}
        found.append(Ask("POST /api/configuration", body=[known], about=f"{scope}, by id"))
        found.append(Ask("GET /api/configuration/{variable_id}", one, about=scope))
        found.append(Ask("DELETE /api/configuration/{variable_id}", one, about=scope))
    found.append(Ask("GET /api/configuration-sets", query=organization))
    one = {"environment_id": ids["environment"]}
    found.append(Ask("GET /api/configuration-sets/assignments/environment/{environment_id}", one))
    return found


def _environments(ids: dict[str, str]) -> list[Ask]:
    organization = {"organizationId": ids["organization"]}
    environment = {"environment_id": ids["environment"]}
    other = {"environment_id": ids["other environment"]}
    changes = [{"name": "NEW", "value": "text", "type": 0, "isSensitive": True}]
    deploy = {
        "blueprintId": ids["template"],
        "blueprintRevision": "main",
        "comment": "text",
        "configurationChanges": changes,
        "userRequiresApproval": False,
        "runnerPool": "default",
        "triggerName": "user",
    }
    settings = {
        "name": "new",
        "requiresApproval": False,
        "continuousDeployment": False,
        "pullRequestPlanDeployments": False,
        "autoDeployOnPathChangesOnly": True,
        "autoDeployByCustomGlob": "*.tf",
        "vcsCommandsAlias": "text",
        "vcsPrCommentsEnabled": True,
        "terragruntWorkingDirectory": "text",
        "isRemoteBackend": False,
        "isRemoteApplyEnabled": False,
    }
    create = {
        "name": "new",
        "projectId": ids["project"],
        "requiresApproval": False,
        "workspaceName": "new",
        "configurationChanges": changes,
        "preventAutoDeploy": True,
        "k8sNamespace": "text",
    }
    return [
        Ask(
            "GET /api/environments",
            query={**organization, "projectId": ids["project"], "name": "environment"},
            about="of a project",
        ),
        Ask("GET /api/environments", query=organization),
        Ask("GET /api/environments/{environment_id}", environment),
        Ask("POST /api/environments", body={**create, "deployRequest": deploy}),
        Ask(
            "POST /api/environments/without-template",
            body={
                **create,
                "type": "shell",
                "commands": ["true"],
                "description": "text",
                "deployRequest": {"comment": "text"},
            },
        ),
        Ask("PUT /api/environments/{environment_id}", environment, body=settings),
        Ask(
            "PUT /api/environments/{environment_id}",
            environment,
            body={"isArchived": True},
            about="to archive it",
        ),
        Ask("PUT /api/environments/{environment_id}/ttl", environment, body={"type": "HOURS", "value": "1"}),
        Ask("POST /api/environments/{environment_id}/move", other, body={"projectId": ids["home"]}),
        Ask("POST /api/environments/{environment_id}/deployments", environment, body=deploy),
        Ask(
            "POST /api/environments/{environment_id}/deployments",
            environment,
            body={"comment": "text"},
            about="as it is",
        ),
        Ask("POST /api/environments/{environment_id}/destroy", environment, body={"comment": "text"}),
        Ask("GET /api/environments/{environment_id}/deployments", environment),
        Ask("GET /api/scheduling/environments/{environment_id}", environment),
        Ask("PUT /api/scheduling/environments/{environment_id}", environment, body={"deploy": {"enabled": False}}),
        Ask("GET /api/scheduling/drift-detection/environments/{environment_id}", environment),
        Ask(
            "PATCH /api/scheduling/drift-detection/environments/{environment_id}",
            environment,
            body={"enabled": False},
        ),
        Ask("GET /api/environments/deployments/{deployment_id}", {"deployment_id": ids["queued"]}),
        Ask("PUT /api/environments/deployments/{deployment_id}", {"deployment_id": ids["waiting"]}),
        Ask("PUT /api/environments/deployments/{deployment_id}/cancel", {"deployment_id": ids["queued"]}),
        Ask("POST /api/environments/deployments/{deployment_id}/abort", {"deployment_id": ids["running"]}),
        Ask("GET /api/deployments/{deployment_id}/steps", {"deployment_id": ids["running"]}),
        Ask(
            "GET /api/deployments/{deployment_id}/steps/{step_name}/log",
            {"deployment_id": ids["running"], "step_name": "run"},
        ),
    ]


def with_another_id(ask: Ask, own: Mapping[str, UUID], other: Callable[[str], str]) -> Iterator[tuple[str, Ask]]:
    """Give the request once for each place where it names a thing, with another id there."""
    names = {str(value): name for name, value in own.items()}
    for part in ("path", "query", "body"):
        for place, value in leaves(getattr(ask, part)):
            if value in names:
                changed = replaced(getattr(ask, part), place, other(names[value]))
                yield ".".join([part, *map(str, place)]), replace(ask, **{part: changed})
