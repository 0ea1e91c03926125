"""When a runner dies, or somebody gives up: the deployment ends, and says how. Leases of two seconds."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from programs import wait_until
from runpass.local.openbao import DevOpenBao
from runpass.local.stage import throw_away_stage
from scene import Scene


@pytest.fixture
def hasty(openbao: DevOpenBao) -> Iterator[Scene]:
    with ExitStack() as stack:
        stage = stack.enter_context(throw_away_stage(lease_seconds=2))
        (api,) = stage.found(["Hasty"])
        stage.start_server(stack)
        stack.callback(api.close)
        stage.start_runner(stack, api, "first")
        yield Scene(stage, openbao, api, api)


def begin(scene: Scene, project: str, command: str) -> str:
    body = {"name": "long", "type": "shell", "commands": [command], "organizationId": scene.api.organization_id}
    template = scene.api.call("POST", "/blueprints", body)["id"]
    scene.api.call("PATCH", f"/blueprints/{template}/projects", {"projectId": project})
    environment = {"name": "long", "projectId": project, "deployRequest": {"blueprintId": template}}
    deployment = scene.api.call("POST", "/environments", environment)["latestDeploymentLogId"]
    wait_until(lambda: "running now" in scene.api.log(deployment), "the command runs")
    return deployment


def test_a_killed_runner_leaves_a_deployment_that_ends_as_runner_lost(hasty: Scene):
    project = hasty.api.project("web")
    deployment = begin(hasty, project, "echo running now; sleep 30")
    os.kill(hasty.stage.runners[0].pid, signal.SIGKILL)
    ended = hasty.api.wait(deployment)
    assert (ended["status"], ended["error"]) == ("INTERNAL_FAILURE", "runner lost")
    assert "runner lost: it stopped sending heartbeats" in hasty.api.log(deployment)
    assert {step["status"] for step in hasty.api.steps(deployment)} == {"FAIL"}


def test_the_next_runner_ends_what_a_killed_one_left_running(hasty: Scene):
    project = hasty.api.project("web")
    deployment = begin(hasty, project, "echo running now; exec sleep 31.4159")
    os.kill(hasty.stage.runners[0].pid, signal.SIGKILL)
    hasty.api.wait(deployment)
    with ExitStack() as stack:
        hasty.stage.start_runner(stack, hasty.api, "second")
        wait_until(lambda: not _is_running("31.4159"), "the orphan is ended")


def environment_of(scene: Scene, deployment: str) -> str:
    return scene.api.call("GET", f"/environments/deployments/{deployment}")["environmentId"]


def test_a_running_deployment_is_aborted_and_leaves_no_token(hasty: Scene):
    project = hasty.guided()
    deployment = begin(hasty, project.id, "echo running now; sleep 60")
    assert len(hasty.tokens(project.mount)) == 1
    hasty.api.call("POST", f"/environments/deployments/{deployment}/abort", {})
    assert hasty.api.wait(deployment)["status"] == "ABORTED"
    assert hasty.tokens(project.mount) == []


def test_a_queued_deployment_is_cancelled(hasty: Scene):
    project = hasty.api.project("web")
    deployment = begin(hasty, project, "echo running now; sleep 60")
    environment = environment_of(hasty, deployment)
    queued = hasty.api.call("POST", f"/environments/{environment}/deployments", {})["id"]
    cancelled = hasty.api.call("PUT", f"/environments/deployments/{queued}/cancel")
    assert cancelled["status"] == "CANCELLED"
    hasty.api.call("POST", f"/environments/deployments/{deployment}/abort", {})
    assert hasty.api.wait(deployment)["status"] == "ABORTED"


def test_a_stopped_runner_revokes_its_tokens(hasty: Scene):
    project = hasty.guided()
    deployment = begin(hasty, project.id, "echo running now; sleep 60")
    hasty.stage.runners[0].stop()
    assert hasty.api.wait(deployment)["status"] in {"ABORTED", "INTERNAL_FAILURE"}
    assert hasty.tokens(project.mount) == []


def _is_running(argument: str) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().split(b"\0")[1:2] == [argument.encode()]:
                return True
        except OSError:
            continue
    return False
