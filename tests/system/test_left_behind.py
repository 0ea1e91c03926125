"""What runs leave behind at a Vault, and who cleans it up. OpenBao's own list of accessors is the judge."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from programs import clean_environment, run_cli, wait_until
from runpass.local.openbao import DevOpenBao
from runpass.local.stage import Stage, throw_away_stage
from runpass.secret import Secret
from runpass.server.db.schema.vault_logins import vault_logins
from runpass.server.deployments.vault_logins import _place
from runpass.server.opening import open_parts
from scene import Project, Scene

LONG = "echo running now; sleep 60"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A server with leases of two seconds."""
    with ExitStack() as stack:
        stage = stack.enter_context(throw_away_stage(lease_seconds=2))
        stage.start_server(stack)
        yield stage


@pytest.fixture
def hasty(stage: Stage, openbao: DevOpenBao) -> Iterator[Scene]:
    """An organization with one runner."""
    with ExitStack() as stack:
        (api,) = stage.found([f"Hasty {uuid4().hex[:8]}"])
        stack.callback(api.close)
        scene = Scene(stage, openbao, api, api)
        start_runner(scene, stack)
        yield scene


def start_runner(scene: Scene, stack: ExitStack) -> None:
    scene.stage.start_runner(stack, scene.api, scene.unique("runner"))


def begin(scene: Scene, project: str, command: str = LONG) -> str:
    body = {"name": scene.unique("long"), "type": "shell", "commands": [command]}
    template = scene.api.call("POST", "/blueprints", {**body, "organizationId": scene.api.organization_id})["id"]
    scene.api.call("PATCH", f"/blueprints/{template}/projects", {"projectId": project})
    environment = {"name": scene.unique("long"), "projectId": project, "deployRequest": {"blueprintId": template}}
    deployment: str = scene.api.call("POST", "/environments", environment)["latestDeploymentLogId"]
    wait_until(lambda: "running now" in scene.api.log(deployment), "the command runs")
    return deployment


def counts(scene: Scene) -> tuple[int, int]:
    found = scene.api.outstanding()["vaultTokens"]
    return found["known"], found["unknown"]


def change_role(scene: Scene, project: Project, **changes: Any) -> None:
    with scene.operator() as operator:
        path = f"auth/{project.mount}/role/{project.role}"
        operator.write(path, {**operator.read(path).data, **changes})


def record_role(scene: Scene, project: Project) -> None:
    """As `runpass vault apply` does: the server knows the role's first TTL."""
    with scene.operator() as operator:
        role = json.dumps(dict(operator.read(f"auth/{project.mount}/role/{project.role}").data))
    body = {"roleName": project.role, "mount": project.mount, "role": role, "config": "{}"}
    scene.api.call("PUT", f"/credentials/{project.credential}/recorded-role", body)


def kill(scene: Scene) -> None:
    os.kill(scene.stage.runners[-1].pid, signal.SIGKILL)


def set_login(scene: Scene, deployment: str, *, accessor: str | None) -> None:
    """Change what the server was told of a deployment's login, as a runner would that died earlier, or lied."""
    parts = open_parts(scene.stage.settings)
    try:
        with parts.database.write() as tx:
            mine = vault_logins.c.deployment_id == UUID(deployment)
            row = tx.execute(vault_logins.select().where(mine)).one()
            values: dict[str, Any] = {"gave_token": None, "reported_at": None, "accessor_sealed": None}
            if accessor is not None:
                sealed = parts.cipher.seal(accessor.encode(), _place(row.id, row.organization_id))
                values = {"accessor_sealed": sealed}
            tx.execute(vault_logins.update().where(mine).values(**values))
    finally:
        parts.close()


def test_another_runner_sweeps_the_token_of_a_killed_one(hasty: Scene):
    project = hasty.guided()
    deployment = begin(hasty, project.id)
    assert hasty.api.outstanding()["inUse"] == 1
    (token,) = hasty.tokens(project.mount)
    kill(hasty)
    assert hasty.api.wait(deployment)["error"] == "runner lost"
    found = hasty.api.outstanding(deployment)
    assert found["vaultTokens"] == {"known": 1, "unknown": 0}
    (login,) = found["logins"]
    assert (login["accessor"], login["authMountPath"], login["isKnown"]) == (token["accessor"], project.mount, True)
    assert login["until"]
    (held,) = found["identityTokens"]
    assert held["deploymentId"] == deployment
    with ExitStack() as stack:
        start_runner(hasty, stack)
        wait_until(lambda: counts(hasty) == (0, 0), "the token is swept")
    assert hasty.tokens(project.mount) == []
    assert len(hasty.api.outstanding()["identityTokens"]) == 1
    events = hasty.api.of_organization("/audit-events")
    assert "vault_token.swept" in {item["action"] for item in events}


def test_a_revoked_runner_loses_its_runs_at_once_and_another_one_sweeps(hasty: Scene):
    project = hasty.guided()
    deployment = begin(hasty, project.id)
    (runner,) = hasty.api.of_organization("/runners")
    pid = hasty.stage.runners[-1].pid
    with ExitStack() as stack:
        start_runner(hasty, stack)
        os.kill(pid, signal.SIGSTOP)  # so that it cannot clean up itself; its lease lives for a moment more
        try:
            hasty.api.call("DELETE", f"/runners/{runner['id']}")
            ended = hasty.api.call("GET", f"/environments/deployments/{deployment}")
            assert (ended["status"], ended["error"]) == ("INTERNAL_FAILURE", "its runner was revoked")
            wait_until(lambda: hasty.tokens(project.mount) == [], "the token is swept")
            wait_until(lambda: counts(hasty) == (0, 0), "the sweep is reported")
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_login_that_nobody_reported_is_unknown_until_the_first_ttl_has_passed(hasty: Scene):
    project = hasty.guided()
    change_role(hasty, project, token_ttl=3)
    record_role(hasty, project)
    deployment = begin(hasty, project.id)
    kill(hasty)
    set_login(hasty, deployment, accessor=None)
    hasty.api.wait(deployment)
    found = hasty.api.outstanding()
    if found["vaultTokens"]["unknown"]:  # it may be over by now, on a slow machine
        assert found["logins"][0]["until"]
    wait_until(lambda: counts(hasty) == (0, 0), "the first TTL has passed")
    wait_until(lambda: hasty.tokens(project.mount) == [], "the token has expired")


def test_a_login_whose_ttl_nobody_knows_stays_unknown(hasty: Scene, tmp_path: Path):
    project = hasty.guided()
    deployment = begin(hasty, project.id)
    kill(hasty)
    set_login(hasty, deployment, accessor=None)
    hasty.api.wait(deployment)
    assert counts(hasty) == (0, 1)
    (login,) = hasty.api.outstanding()["logins"]
    assert (login["isKnown"], login.get("until")) == (False, None)
    key_file = tmp_path / "key.json"
    key_file.touch(mode=0o600)
    key_file.write_text(hasty.api.key_file())
    environment = clean_environment(url=hasty.stage.url, api_key_file=key_file)
    shown = run_cli("tokens", "outstanding", environment=environment, check=False)
    assert shown.returncode == 1
    assert "0 known to be outstanding, 1 unknown" in shown.stdout + shown.stderr
    assert deployment in shown.stdout


def test_a_strangers_accessor_is_left_alone_and_told(hasty: Scene):
    project = hasty.guided()
    with hasty.operator() as operator:
        stranger = operator.write("auth/token/create", {"policies": ["default"], "ttl": "5m"}).auth
        deployment = begin(hasty, project.id)
        kill(hasty)
        set_login(hasty, deployment, accessor=stranger["accessor"])
        hasty.api.wait(deployment)
        with ExitStack() as stack:
            start_runner(hasty, stack)
            wait_until(lambda: bool(_last_sweep(hasty)), "somebody has looked")
        (login,) = hasty.api.outstanding()["logins"]
        assert login["lastSweep"]["result"] == "not-ours"
        assert "auth/token/create" in login["lastSweep"]["said"]
        assert counts(hasty) == (0, 1)
        assert operator.with_token(Secret(stranger["client_token"])).read("auth/token/lookup-self").data["ttl"] > 0
        operator.write("auth/token/revoke-accessor", {"accessor": stranger["accessor"]})
    assert "vault_token.not_swept" in {item["action"] for item in hasty.api.of_organization("/audit-events")}


def test_without_the_sweepers_role_the_token_stays_outstanding_and_the_hint_says_what_to_do(hasty: Scene):
    project = hasty.guided()
    change_role(hasty, project, token_ttl=8)
    with hasty.operator() as operator:
        operator.delete(f"auth/{project.mount}/role/runpass-sweeper")
    deployment = begin(hasty, project.id)
    kill(hasty)
    hasty.api.wait(deployment)
    with ExitStack() as stack:
        start_runner(hasty, stack)
        wait_until(lambda: bool(_last_sweep(hasty)), "somebody has tried")
        if counts(hasty) != (0, 0):  # it may be over by now, on a slow machine
            assert _last_sweep(hasty)["result"] == "failed"
            assert "runpass vault apply" in _last_sweep(hasty)["hint"]
            assert counts(hasty) == (1, 0)
        wait_until(lambda: counts(hasty) == (0, 0), "the token's TTL has passed", 40)
    assert hasty.tokens(project.mount) == []


def _last_sweep(scene: Scene) -> Any:
    logins = scene.api.outstanding()["logins"]
    return logins[0].get("lastSweep") if logins else {"result": "over"}


def test_a_token_that_does_not_name_its_run_is_not_revoked(hasty: Scene):
    project = hasty.guided()
    change_role(hasty, project, claim_mappings={"organizationId": "organizationId"})
    deployment = begin(hasty, project.id)
    kill(hasty)
    hasty.api.wait(deployment)
    with ExitStack() as stack:
        start_runner(hasty, stack)
        wait_until(lambda: bool(_last_sweep(hasty)), "somebody has looked")
    sweep = _last_sweep(hasty)
    assert sweep["result"] == "not-verifiable"
    assert "deploymentLogId" in sweep["hint"]
    assert counts(hasty) == (1, 0)
    assert len(hasty.tokens(project.mount)) == 1
