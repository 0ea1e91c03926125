"""Templates over the API: what env0's clients send comes back as they expect it."""

from typing import Any

import pytest

from surface_scene import Server, basic

CODE = {"name": "code", "type": "terraform", "repository": "git@git.example.com:team/code.git"}


@pytest.fixture
def call(server: Server) -> Any:
    headers = basic(server.ours.callers["Admin"])
    organization = str(server.ours.ids["organization"])

    def send(method: str, path: str, body: Any = None, **more: Any) -> Any:
        if method == "POST":
            body = {"organizationId": organization, **body}
        return server.client.request(
            method, f"/api/blueprints{path}", json=body, headers={**headers, **more.pop("headers", {})}, **more
        )

    return send


def test_what_was_not_sent_is_false_empty_or_null(call: Any):
    made = call("POST", "", CODE).json()
    assert (made["revision"], made["path"], made["description"]) == ("", "", "")
    assert made["retry"] == {"onDeploy": None, "onDestroy": None}
    flags = ("GitLab", "GitLabEnterprise", "GitHubEnterprise", "BitbucketServer", "AzureDevOps", "TerragruntRunAll")
    assert not any(made[f"is{flag}"] for flag in (*flags, "HelmRepository"))
    unset = ("tokenId", "tokenName", "githubInstallationId", "vcsConnectionId", "bitbucketClientKey")
    versions = ("terraformVersion", "opentofuVersion", "terragruntVersion", "terragruntTfBinary", "ansibleVersion")
    assert {made[name] for name in (*unset, *versions, "fileName", "helmChartName", "projectId")} == {None}
    assert (made["sshKeys"], made["projectIds"], made["isDeleted"], made["isSingleUse"]) == ([], [], False, False)
    assert call("GET", f"/{made['id']}").json() == made


def test_what_was_sent_comes_back_as_it_was(call: Any, server: Server):
    sent = {
        **CODE,
        "description": "text",
        "revision": "refs/heads/main",
        "path": "/infra/live",
        "retry": {"onDeploy": {"times": 3, "errorRegex": "time.*out"}, "onDestroy": {"times": 1}},
        "isGitLab": True,
        "sshKeys": [{"id": "1", "name": "key"}],
        "githubInstallationId": 7,
        "terraformVersion": "1.9.0",
        "unknownField": {"is": "ignored"},
    }
    made = call("POST", "", sent).json()
    for name in ("description", "revision", "isGitLab", "sshKeys", "githubInstallationId", "terraformVersion"):
        assert made[name] == sent[name], name
    assert made["path"] == "infra/live"
    assert made["retry"] == {
        "onDeploy": {"times": 3, "errorRegex": "time.*out"},
        "onDestroy": {"times": 1, "errorRegex": None},
    }
    assert (made["creationScope"], made["creationScopeId"]) == ("ORGANIZATION", str(server.ours.ids["organization"]))
    assert made["author"]["user_id"] == made["authorId"] == made["createdBy"]
    assert made["author"]["app_metadata"]["isApiKey"] is True


@pytest.mark.parametrize(
    "kind", ["opentofu", "terragrunt", "pulumi", "k8s", "cloudformation", "helm", "ansible", "workflow"]
)
def test_every_type_of_env0_is_taken(call: Any, kind: str):
    assert call("POST", "", {**CODE, "type": kind}).json()["type"] == kind


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": "x", "type": "terraform"}, ["repository"]),
        ({"name": "x", "type": "shell"}, ["commands"]),
        ({"name": "x", "type": "shell", "repository": "https://git.example.com/x"}, ["commands", "repository"]),
        ({**CODE, "commands": ["true"], "planCommands": ["true"]}, ["commands", "planCommands"]),
        ({**CODE, "type": "canary"}, ["type"]),
        (
            {**CODE, "repository": "https://user:canary@git.example.com/x", "revision": "--canary"},
            ["repository", "revision"],
        ),
        ({**CODE, "path": "../canary"}, ["path"]),
        ({**CODE, "path": "/a/..\\canary"}, ["path"]),
        ({**CODE, "retry": {"onDeploy": {"times": 2, "errorRegex": "(canary"}}}, ["retry.onDeploy.errorRegex"]),
        ({**CODE, "retry": {"onDestroy": {"times": 100}}}, ["retry.onDestroy.times"]),
    ],
)
def test_what_makes_no_template_is_refused_with_every_bad_field(call: Any, body: Any, fields: list[str]):
    answer = call("POST", "", body)
    assert answer.status_code == 422
    assert sorted(item["field"] for item in answer.json()["errors"]) == fields
    assert "canary" not in answer.text


def test_a_template_of_another_kind_replaces_one(call: Any):
    made = call("POST", "", CODE).json()
    shell = {"name": "shell", "type": "shell", "commands": ["one"], "destroyCommands": ["two"]}
    changed = call("PUT", f"/{made['id']}", shell).json()
    assert (changed["type"], changed["commands"], changed["repository"]) == ("shell", ["one"], "")
    assert (changed["planCommands"], changed["destroyCommands"]) == ([], ["two"])
    assert call("PUT", f"/{made['id']}", CODE).json()["commands"] == []


def test_a_deleted_template_answers_that_it_is_and_takes_no_change(call: Any, server: Server):
    made = call("POST", "", CODE).json()
    assert [call("DELETE", f"/{made['id']}").status_code for _ in range(2)] == [204, 204]
    found = call("GET", f"/{made['id']}")
    assert (found.status_code, found.json()["isDeleted"]) == (200, True)
    assert made["id"] not in {item["id"] for item in call("GET", "").json()}
    assert call("PUT", f"/{made['id']}", CODE).status_code == 409
    assert call("PATCH", f"/{made['id']}/projects", {"projectId": str(server.ours.ids["project"])}).status_code == 409


def test_a_project_sees_its_own_templates_and_those_of_its_parents(call: Any, server: Server):
    ids = {name: str(server.ours.ids[name]) for name in ("parent", "project", "empty project")}
    made = call("POST", "", CODE).json()
    for _ in range(2):
        attached = call("PATCH", f"/{made['id']}/projects", {"projectId": ids["parent"]})
        assert (attached.status_code, attached.json()["projectIds"]) == (200, [ids["parent"]])

    def listed(**query: str) -> set[str]:
        return {item["id"] for item in call("GET", "", params=query).json()}

    for project in ids.values():
        assert made["id"] in listed(projectId=project)
    assert listed(projectId=ids["parent"]) == {made["id"]}
    assert str(server.ours.ids["template"]) in listed(projectId=ids["project"])
    assert call("DELETE", f"/{made['id']}/projects/{ids['parent']}").status_code == 204
    assert call("DELETE", f"/{made['id']}/projects/{ids['parent']}").status_code == 404
    assert listed(projectId=ids["parent"]) == set()


def test_pages_of_templates(call: Any):
    for number in range(3):
        call("POST", "", {**CODE, "name": f"paged-{number}"})
    everything = [item["id"] for item in call("GET", "").json()]
    pages = [call("GET", "", params={"limit": 2, "offset": start}).json() for start in range(0, len(everything), 2)]
    assert [item["id"] for page in pages for item in page] == everything
    for query in ({"limit": 0}, {"limit": 1001}, {"offset": -1}, {"limit": "x"}):
        assert call("GET", "", params=query).status_code == 422


def test_a_change_may_name_what_it_is_a_change_of(call: Any):
    made = call("POST", "", CODE)
    first, where = made.headers["etag"], f"/{made.json()['id']}"
    assert call("GET", where).headers["etag"] == first
    changed = call("PUT", where, {**CODE, "name": "new"}, headers={"If-Match": first})
    assert (changed.status_code, changed.headers["etag"] == first) == (200, False)
    assert call("PUT", where, {**CODE, "name": "late"}, headers={"If-Match": first}).status_code == 412
    assert call("DELETE", where, headers={"If-Match": first}).status_code == 412
    assert call("GET", where).json()["name"] == "new"


def test_reading_variables_from_a_repository_is_not_offered(call: Any):
    answer = call("GET", "/variables-from-repository", params={"repository": "https://git.example.com/canary"})
    assert (answer.status_code, answer.json()["code"]) == (501, "not_offered")
    assert "the server never runs git" in answer.json()["message"]
    assert "canary" not in answer.text
