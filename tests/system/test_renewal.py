"""Runs that outlive their Vault token's first TTL: each kind of token that a role may give, all at once."""

from typing import Any

import pytest

from scene import Project, Scene

KINDS: dict[str, dict[str, Any]] = {
    "renewable": {"token_ttl": 3},
    "periodic": {"token_ttl": 0, "token_period": 3, "token_explicit_max_ttl": 0},
    "capped": {"token_ttl": 3, "token_explicit_max_ttl": 4},
    "batch": {"token_ttl": 3, "token_type": "batch", "token_explicit_max_ttl": 0},
    "not allowed to renew": {"token_ttl": 3, "token_no_default_policy": True},
}


def commands(project: Project) -> list[str]:
    """A command that outlives the token, and one after it; both read a secret."""
    read = f"bao kv get -mount={project.kv} -field=password app > /dev/null"
    by_file = f'test "$(stat -c %a ~/.vault-token)" = 600 && (unset VAULT_TOKEN; {read}) && echo by the file'
    return [
        f"sleep 6.5; {by_file}; {read} && echo by its own variable || echo its own variable is over",
        f"{read} && echo by a new variable",
    ]


@pytest.fixture(scope="module")
def ended(scene: Scene) -> dict[str, tuple[Project, str, str]]:
    """Give the project, status and log of a run for each kind of token."""
    started = {}
    for kind, changes in KINDS.items():
        project = scene.guided()
        with scene.operator() as operator:
            path = f"auth/{project.mount}/role/{project.role}"
            operator.write(path, {**operator.read(path).data, **changes})
        started[kind] = (project, scene.api.start(scene.unique("renewal"), project.id, commands(project)))
    return {
        kind: (project, scene.api.wait(deployment)["status"], scene.api.log(deployment))
        for kind, (project, deployment) in started.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_command_and_the_next_one_have_a_token_of_any_kind(ended: dict[str, Any], kind: str):
    _, status, log = ended[kind]
    assert status == "SUCCESS", log
    assert "by the file" in log
    assert "by a new variable" in log


@pytest.mark.parametrize(
    ("kind", "lives"), [("renewable", True), ("periodic", True), ("capped", False), ("batch", False)]
)
def test_the_token_in_a_commands_environment_lives_as_long_as_it_can_be_renewed(
    ended: dict[str, Any], kind: str, *, lives: bool
):
    _, _, log = ended[kind]
    assert ("by its own variable" in log) == lives
    assert ("its own variable is over" in log) != lives


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "not allowed to renew"])
def test_no_token_of_any_login_is_left(scene: Scene, ended: dict[str, Any], kind: str):
    project, _, _ = ended[kind]
    assert scene.tokens(project.mount) == []


def test_a_pool_of_its_own_runs_what_is_meant_for_it(scene: Scene):
    project = scene.api.project(scene.unique("pooled"))
    first = scene.api.deploy(scene.unique("pooled"), project, ["true"])
    path = f"/environments/{first['environmentId']}/deployments"
    pool = scene.unique("pool")
    token = {"organizationId": scene.api.organization_id, "pool": pool}
    scene.api.call("POST", "/runners/join-tokens", token)
    waiting = scene.api.call("POST", path, {"runnerPool": pool})["id"]
    assert scene.api.call("GET", f"/environments/deployments/{waiting}")["status"] == "QUEUED"
    assert scene.api.call("PUT", f"/environments/deployments/{waiting}/cancel")["status"] == "CANCELLED"
