"""Approval on a real server with a real runner and a real OpenBao: nobody who may only plan changes anything."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from git_server import GitServer
from runpass.errors import Conflict, Forbidden
from scene import PASSWORD, Project, Scene, as_role
from scene_steps import ROUTE, environment_of, until
from services import needs

CODE = """
terraform {
  backend "local" {
    path          = "%(state)s/terraform.tfstate"
    workspace_dir = "%(state)s/workspaces"
  }
}
variable "word" { type = string }
resource "terraform_data" "it" { input = var.word }
output "word" { value = terraform_data.it.output }
output "hidden" {
  value     = "canary-of-an-output"
  sensitive = true
}
"""


@pytest.fixture
def guided(scene: Scene) -> Project:
    return scene.guided()


@pytest.fixture
def environment(scene: Scene, guided: Project, tmp_path: Path) -> dict[str, Any]:
    digest = sha256(PASSWORD.encode()).hexdigest()  # the secret itself is to stand nowhere but in OpenBao
    show = 'test "$(printf %s "$FROM_VAULT" | sha256sum | cut -c1-64)" = "$EXPECTED"; echo "FROM_VAULT=$FROM_VAULT"'
    template = {
        "type": "shell",
        "planCommands": [f'{show}; echo planned; test -z "$ENV0_REVIEWER_NAME"'],
        "commands": [f"{show}; echo applied by $ENV0_REVIEWER_NAME"],
    }
    changes = [{"name": "FROM_VAULT", "value": guided.reference}, {"name": "EXPECTED", "value": digest}]
    return environment_of(scene, guided.id, template, configurationChanges=changes)


def test_a_planner_plans_a_deployer_approves_and_the_secret_is_there_both_times(
    scene: Scene, guided: Project, environment: dict[str, Any]
):
    path = f"/environments/{environment['id']}"
    with as_role(scene, guided.id, "Planner") as planner, as_role(scene, guided.id, "Deployer") as deployer:
        queued = planner.call("POST", f"{path}/deployments", {"userRequiresApproval": False})
        waiting = until(planner, queued["id"], "WAITING_FOR_USER")
        assert waiting["finishedAt"] is None
        assert planner.call("GET", path)["status"] == "WAITING_FOR_USER"
        for refused in (f"{ROUTE}/{queued['id']}", f"{ROUTE}/{queued['id']}/cancel"):
            with pytest.raises(Forbidden):
                planner.call("PUT", refused)

        approved = deployer.call("PUT", f"{ROUTE}/{queued['id']}")
        assert approved["status"] == "IN_PROGRESS"  # env0's CLI gives up when it sees anything else here
        ended = deployer.wait(queued["id"])
        assert (ended["status"], ended["error"]) == ("SUCCESS", None)
        with pytest.raises(Conflict):
            deployer.call("PUT", f"{ROUTE}/{queued['id']}")
    log = scene.api.log(queued["id"])
    assert "planned" in log
    assert "applied by Deployer-" in log
    assert log.count("FROM_VAULT=***") == 2
    assert PASSWORD not in log
    assert [step["name"] for step in scene.api.steps(queued["id"])] == [
        "plan:setup-oidc-vault",
        "plan:1",
        "setup-oidc-vault",
        "shell:1",
    ]
    assert scene.tokens(guided.mount) == []


def test_a_planner_smuggles_nothing_into_what_is_planned(scene: Scene, guided: Project, environment: dict[str, Any]):
    path = f"/environments/{environment['id']}"
    other = scene.api.call(
        "POST",
        "/blueprints",
        {
            "name": scene.unique("theirs"),
            "type": "shell",
            "commands": ["echo theirs"],
            "organizationId": scene.api.organization_id,
        },
    )
    scene.api.call("PATCH", f"/blueprints/{other['id']}/projects", {"projectId": guided.id})
    smuggled: list[dict[str, Any]] = [
        {"configurationChanges": [{"name": "EXPECTED", "value": "other"}]},
        {"blueprintId": other["id"]},
        {"blueprintRevision": "mine"},
        {"deploymentType": "task", "taskCommands": ["env"]},
    ]
    with as_role(scene, guided.id, "Planner") as planner:
        for body in smuggled:
            with pytest.raises(Forbidden):
                planner.call("POST", f"{path}/deployments", body)
    assert scene.api.call("GET", f"{path}/deployments") == []


def test_what_is_cancelled_instead_of_approved_changes_nothing(
    scene: Scene, guided: Project, environment: dict[str, Any]
):
    path = f"/environments/{environment['id']}"
    queued = scene.api.call("POST", f"{path}/deployments", {"userRequiresApproval": True})
    until(scene.api, queued["id"], "WAITING_FOR_USER")
    assert scene.api.call("PUT", f"{ROUTE}/{queued['id']}/cancel")["status"] == "CANCELLED"
    assert scene.api.call("GET", path)["status"] == "CREATED"
    assert "applied" not in scene.api.log(queued["id"])


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitServer]:
    needs("git", "terraform")
    served = tmp_path / "served"
    served.mkdir()
    with GitServer(served) as server:
        yield server


@pytest.fixture
def state() -> Iterator[Path]:
    """Where code keeps its state: the run's user passes through to it, and the sweep after a run does not."""
    with TemporaryDirectory(prefix="runpass-test-") as name:
        Path(name).chmod(0o711)
        directory = Path(name, "state")
        directory.mkdir()
        share(directory)
        yield directory


def test_terraform_is_planned_approved_applied_and_destroyed_again(
    scene: Scene, guided: Project, git: GitServer, state: Path
):
    template = {
        "type": "terraform",
        "repository": git.repository("code", {"main.tf": CODE % {"state": state}}),
        "revision": "main",
    }
    changes = [{"name": "word", "value": "hello", "type": 1}]
    made = environment_of(scene, guided.id, template, configurationChanges=changes, requiresApproval=True)
    path = f"/environments/{made['id']}"

    queued = scene.api.call("POST", f"{path}/deployments", {"userRequiresApproval": False})
    until(scene.api, queued["id"], "WAITING_FOR_USER")
    assert "terraform_data.it will be created" in scene.api.log(queued["id"])
    share(state)
    moved = CODE.replace("value = terraform_data.it.output", 'value = "not what was approved"')
    git.commit("code", {"main.tf": moved % {"state": state}})
    scene.api.call("PUT", f"{ROUTE}/{queued['id']}")
    deployed = scene.api.wait(queued["id"])
    assert deployed["status"] == "SUCCESS", scene.api.log(queued["id"])
    assert deployed["output"]["word"] == {"value": "hello", "sensitive": False, "type": "string"}
    assert deployed["output"]["hidden"] == {"value": None, "sensitive": True, "type": "string"}
    assert "canary-of-an-output" not in scene.api.log(queued["id"])

    share(state)
    destroying = scene.api.call("POST", f"{path}/destroy", {})
    until(scene.api, destroying["id"], "WAITING_FOR_USER")
    share(state)
    scene.api.call("PUT", f"{ROUTE}/{destroying['id']}")
    ended = scene.api.wait(destroying["id"])
    assert (ended["status"], ended["type"]) == ("SUCCESS", "destroy"), scene.api.log(destroying["id"])
    assert "1 destroyed" in scene.api.log(destroying["id"])
    found = scene.api.call("GET", path)
    assert (found["status"], found["isArchived"]) == ("INACTIVE", True)


def share(state: Path) -> None:
    """Let the next run, which is another user, have the state, as a real backend would."""
    for path in (state, *state.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
