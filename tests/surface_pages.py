"""Every route of the console with what an admin of ours may ask there: a path, and for a form its fields.

The surface tests try each of them for nobody, for another tenant, for each role, and as another site's form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from console import OURS, Browser

Ids = Mapping[str, object]


@dataclass(frozen=True)
class Page:
    """A route; `names` says which of the scene's ids stands for which part of the path, `sends` what a form holds.

    In `sends`, `{name}` stands for the id of that name.
    """

    route: str
    names: Mapping[str, str] = field(default_factory=dict)
    sends: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Parts of the path that are no ids."""

    def path(self, ids: Ids) -> str:
        path = self.route.partition(" ")[2]
        for part, name in self.names.items():
            path = path.replace(f"{{{part}}}", str(ids[name]))
        for part, value in self.fixed.items():
            path = path.replace(f"{{{part}}}", value)
        return path + self.query

    def fields(self, ids: Ids) -> dict[str, str]:
        texts = {f"{{{name}}}": str(value) for name, value in ids.items()}
        return {name: texts.get(value, value) for name, value in self.sends.items()}

    def ask(self, browser: Browser, ids: Ids) -> Any:
        """Ask as whoever is signed in, with the token of a page of theirs."""
        if self.route.startswith("GET "):
            return browser.get(self.path(ids))
        token = {"form_token": browser.form()["form_token"]}
        return browser.post(self.path(ids), {**self.fields(ids), **token}, OURS)


ORGANIZATION = {"organization_id": "organization"}
BELOW = "/console/organizations/{organization_id}"

SHELL = (
    Page("GET /console"),
    Page("GET /console/"),
    Page("GET /console/assets/{name}", fixed={"name": "console.css"}),
)
ACCESS = (
    Page("GET /console/sign-in"),
    Page("POST /console/sign-in", sends={"name": "x", "secret": "y"}),
    Page("POST /console/sign-in/openid"),
    Page("GET /console/sign-in/callback"),
    Page("POST /console/sign-out"),
    Page("GET /console/join"),
    Page("POST /console/join", sends={"signInName": "x", "code": "y", "newPassword": "z"}),
    Page("GET /console/set-up"),
    Page("POST /console/set-up", sends={"token": "x"}),
    Page("GET /console/password"),
    Page("POST /console/password", sends={"currentPassword": "x", "newPassword": "y"}),
    Page("GET /console/sessions"),
    Page("POST /console/sessions/{session_id}/end", {"session_id": "session"}),
)
PERSON = {"organization_id": "organization", "person_id": "person"}
PEOPLE = (
    Page(f"GET {BELOW}/people", ORGANIZATION),
    Page(f"POST {BELOW}/people", ORGANIZATION, {"signInName": "new", "displayName": "new", "organizationRole": "User"}),
    Page(f"GET {BELOW}/people/{{person_id}}", PERSON),
    Page(f"POST {BELOW}/people/{{person_id}}/roles", PERSON, {"organizationRole": "User"}),
    Page(f"POST {BELOW}/people/{{person_id}}/invite", PERSON),
    Page(f"POST {BELOW}/people/{{person_id}}/remove", PERSON),
    Page(
        f"POST {BELOW}/people/{{person_id}}/sessions/{{session_id}}/end",
        {**PERSON, "session_id": "session of the person"},
    ),
)
API_KEYS = (
    Page(f"GET {BELOW}/api-keys", ORGANIZATION),
    Page(f"POST {BELOW}/api-keys", ORGANIZATION, {"name": "new", "organizationRole": "User"}),
    Page(f"POST {BELOW}/api-keys/{{key_id}}/delete", {**ORGANIZATION, "key_id": "key"}),
)
ONE = "/console/deployments/{deployment_id}"
DEPLOYMENTS = (
    Page(f"GET {BELOW}/outstanding", ORGANIZATION),
    Page("GET /console/environments/{environment_id}/deployments", {"environment_id": "environment"}),
    Page(f"GET {ONE}", {"deployment_id": "running"}),
    Page(f"GET {ONE}/run", {"deployment_id": "running"}),
    Page(f"GET {ONE}/log.txt", {"deployment_id": "ended"}),
    Page(f"GET {ONE}/log/events", {"deployment_id": "ended"}),
    Page(f"POST {ONE}/approve", {"deployment_id": "waiting"}),
    Page(f"POST {ONE}/cancel", {"deployment_id": "queued"}),
    Page(f"POST {ONE}/abort", {"deployment_id": "running"}),
)
RUNNER = {**ORGANIZATION, "runner_id": "runner"}
RUNNERS = (
    Page(f"GET {BELOW}/runners", ORGANIZATION),
    Page(f"POST {BELOW}/runners/join-tokens", ORGANIZATION, {"pool": "default", "uses": "1"}),
    Page(f"GET {BELOW}/runners/{{runner_id}}/revoke", RUNNER),
    Page(f"POST {BELOW}/runners/{{runner_id}}/revoke", RUNNER),
)
SIGNING_KEYS = (Page(f"GET {BELOW}/signing-keys", ORGANIZATION),)

RELYING_PARTIES = (
    Page(f"GET {BELOW}/relying-parties", ORGANIZATION),
    Page(f"POST {BELOW}/relying-parties", ORGANIZATION, {"name": "new", "audiences": "https://sts.example.com"}),
    Page(f"POST {BELOW}/relying-parties/{{party_id}}/remove", {**ORGANIZATION, "party_id": "relying party"}),
)
AUDIT = (
    Page(f"GET {BELOW}/audit", ORGANIZATION, query="?action=access.denied&actor=x&from=2026-01-01T00:00"),
    Page(f"GET {BELOW}/audit/events.jsonl", ORGANIZATION),
)
POLICIES = (
    Page(f"GET {BELOW}/policies", ORGANIZATION),
    Page(f"POST {BELOW}/policies", ORGANIZATION, {"identityIssuer": "shared", "maxTtl": "1-w"}),
    Page(f"POST {BELOW}/policies/preview", ORGANIZATION, {"identitySubject": "organizationId"}),
    Page("GET /console/projects/{project_id}/policies", {"project_id": "project"}),
    Page("POST /console/projects/{project_id}/policies", {"project_id": "project"}, {"maxTtl": "inherit"}),
)

PROJECT = {"project_id": "project"}
PROJECTS = (
    Page(f"GET {BELOW}/projects", ORGANIZATION),
    Page(f"POST {BELOW}/projects", ORGANIZATION, {"name": "new", "parentProjectId": "{parent}"}),
    Page("GET /console/projects/{project_id}", PROJECT),
    Page("POST /console/projects/{project_id}", PROJECT, {"name": "renamed"}),
    Page("POST /console/projects/{project_id}/move", PROJECT, {"targetProjectId": "{parent}"}),
    Page("POST /console/projects/{project_id}/delete", {"project_id": "empty project"}),
)
REMOVE = "/console/projects/{project_id}/credentials/{credential_id}/remove"
ASSIGNED = {**PROJECT, "credential_id": "assigned"}
PROJECT_CREDENTIALS = (
    Page("GET /console/projects/{project_id}/credentials", PROJECT),
    Page("POST /console/projects/{project_id}/credentials", PROJECT, {"otherId": "{credential}"}),
    Page(f"GET {REMOVE}", ASSIGNED),
    Page(f"POST {REMOVE}", ASSIGNED),
)
TEMPLATE = {"template_id": "template"}
DETACHABLE = {"template_id": "detachable", "project_id": "project"}
SHELL_TEMPLATE = {"name": "new", "type": "shell", "commands": "true"}
TEMPLATES = (
    Page(f"GET {BELOW}/templates", ORGANIZATION),
    Page(f"POST {BELOW}/templates", ORGANIZATION, SHELL_TEMPLATE),
    Page(f"GET {BELOW}/templates/new", ORGANIZATION, query="?type=shell"),
    Page("GET /console/templates/{template_id}", TEMPLATE),
    Page("POST /console/templates/{template_id}", TEMPLATE, SHELL_TEMPLATE),
    Page("POST /console/templates/{template_id}/delete", TEMPLATE),
    Page("POST /console/templates/{template_id}/projects", TEMPLATE, {"projectId": "{parent}"}),
    Page("POST /console/templates/{template_id}/projects/{project_id}/detach", DETACHABLE),
)
CREDENTIAL = {"credential_id": "credential"}
EKS = {"type": "K8S_EKS_AUTH", "name": "new", "scope": "{project}", "clusterName": "c", "clusterRegion": "r"}
VAULT = {"address": "https://vault.example.com", "roleName": "deploy", "jwtAuthBackendPath": "jwt", "tokenFormat": "v1"}
CREDENTIALS = (
    Page(f"GET {BELOW}/credentials", ORGANIZATION),
    Page(f"GET {BELOW}/credentials/new", ORGANIZATION, query="?kind=VAULT_OIDC"),
    Page(
        f"POST {BELOW}/credentials", ORGANIZATION, {"type": "K8S_EKS_AUTH", "name": "new", "scope": "{project}"} | EKS
    ),
    Page(f"POST {BELOW}/credentials/set-up", ORGANIZATION, VAULT),
    Page("POST /console/credentials/{credential_id}/set-up", CREDENTIAL, VAULT),
    Page("GET /console/credentials/{credential_id}", CREDENTIAL),
    Page("GET /console/credentials/{credential_id}/edit", CREDENTIAL),
    Page("POST /console/credentials/{credential_id}/edit", CREDENTIAL, VAULT),
    Page("GET /console/credentials/{credential_id}/delete", CREDENTIAL),
    Page("POST /console/credentials/{credential_id}/delete", CREDENTIAL),
)
VALUE = {"name": "NEW", "type": "0", "value": "text"}
VARIABLE = {"variable_id": "PROJECT variable"}
HERE = {"environment_id": "environment"}
VARIABLES = (
    Page(f"GET {BELOW}/variables", ORGANIZATION),
    Page(f"POST {BELOW}/variables", ORGANIZATION, VALUE),
    Page("GET /console/templates/{template_id}/variables", TEMPLATE),
    Page("POST /console/templates/{template_id}/variables", TEMPLATE, VALUE),
    Page("GET /console/projects/{project_id}/variables", PROJECT),
    Page("POST /console/projects/{project_id}/variables", PROJECT, VALUE),
    Page("GET /console/environments/{environment_id}/variables", HERE),
    Page("POST /console/environments/{environment_id}/variables", HERE, VALUE),
    Page("GET /console/variables/{variable_id}", VARIABLE),
    Page("POST /console/variables/{variable_id}", VARIABLE, VALUE),
    Page("POST /console/variables/{variable_id}/delete", VARIABLE),
)
TESTS = "/console/credentials/{credential_id}/tests"
TEST = {"credential_id": "assigned", "test_id": "queued test"}
CONNECTION_TESTS = (
    Page(f"GET {TESTS}", {"credential_id": "assigned"}),
    Page(f"POST {TESTS}", {"credential_id": "assigned"}, {"projectId": "{project}", "pool": "default"}),
    Page(f"GET {TESTS}/{{test_id}}", TEST),
    Page(f"GET {TESTS}/{{test_id}}/checks", TEST),
)

IN_ONE = "/console/environments/{environment_id}"
ENVIRONMENT = {"environment_id": "environment"}
ENVIRONMENTS = (
    Page("GET /console/projects/{project_id}/environments", PROJECT),
    Page("GET /console/projects/{project_id}/environments/new", PROJECT),
    Page("POST /console/projects/{project_id}/environments/new", PROJECT, {"name": "new", "blueprintId": "{template}"}),
    Page(f"GET {IN_ONE}", ENVIRONMENT),
    Page(f"POST {IN_ONE}", ENVIRONMENT, {"name": "renamed"}),
    Page(f"POST {IN_ONE}/lifespan", ENVIRONMENT, {"ttlType": "HOURS", "ttlValue": "8"}),
    Page(f"POST {IN_ONE}/archive", ENVIRONMENT, {"isArchived": "true"}),
    Page(f"GET {IN_ONE}/deploy", ENVIRONMENT),
    Page(f"POST {IN_ONE}/deploy", ENVIRONMENT),
    Page(f"GET {IN_ONE}/destroy", ENVIRONMENT),
    Page(f"POST {IN_ONE}/destroy", ENVIRONMENT),
)

PAGES = (
    *SHELL,
    *ACCESS,
    *PEOPLE,
    *API_KEYS,
    *DEPLOYMENTS,
    *PROJECTS,
    *TEMPLATES,
    *VARIABLES,
    *RUNNERS,
    *SIGNING_KEYS,
    *CREDENTIALS,
    *PROJECT_CREDENTIALS,
    *RELYING_PARTIES,
    *CONNECTION_TESTS,
    *POLICIES,
    *AUDIT,
    *ENVIRONMENTS,
)
