"""Connection tests and explained refusals: a real server, a real runner, a real OpenBao."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runpass.errors import InvalidInput, NotFound
from scene import PASSWORD, Project, Scene, as_role


def until_done(scene: Scene, test: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = scene.api.call("GET", f"/connection-tests/{test['id']}")
        if found["status"] not in {"QUEUED", "IN_PROGRESS"}:
            return found
        assert time.monotonic() < deadline, found["status"]
        time.sleep(0.1)


def make(scene: Scene, project: str, credential: str, *paths: str, **more: str) -> dict[str, Any]:
    body = {"projectId": project, "credentialId": credential, "paths": list(paths), **more}
    made: dict[str, Any] = scene.api.call("POST", "/connection-tests", body)
    return made


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["verdict"] for item in found["checks"]}


@pytest.fixture
def guided(scene: Scene) -> Project:
    return scene.guided()


def test_a_connection_that_works_is_found_to_work_and_leaves_no_token(scene: Scene, guided: Project):
    found = until_done(scene, make(scene, guided.id, guided.credential, f"{guided.kv}/app.password"))
    assert found["status"] == "DONE"
    seen = verdicts(found)
    assert {name: seen[name] for name in ("dns", "tcp", "server", "mount", "role", "issuer_keys")} == dict.fromkeys(
        ("dns", "tcp", "server", "mount", "role", "issuer_keys"), "ok"
    )
    assert (seen["expired_token"], seen["login"], seen["secret"], seen["revocation"]) == ("ok", "ok", "ok", "ok")
    assert "failed" not in seen.values()
    assert PASSWORD not in json.dumps(found)
    assert scene.tokens(guided.mount) == []


def test_what_stops_a_connection_is_named_with_the_next_step(scene: Scene, guided: Project):
    project = scene.api.project(scene.unique("mistaken"))
    credential = scene.credential(scene.openbao.address, f"{guided.role}x", guided.mount)
    scene.api.assign(credential, project)
    found = until_done(scene, make(scene, project, credential))
    (role,) = [item for item in found["checks"] if item["name"] == "role"]
    assert role["verdict"] == "failed"
    assert role["nextStep"]
    assert verdicts(found)["login"] == "skipped"


def test_only_who_manages_credentials_tests_them(scene: Scene, guided: Project):
    with as_role(scene, guided.id, "Deployer") as deployer:
        made = make(scene, guided.id, guided.credential)
        with pytest.raises(NotFound):
            deployer.call("GET", f"/connection-tests/{made['id']}")
    with pytest.raises(InvalidInput):
        make(scene, scene.api.project(scene.unique("other")), guided.credential)


@contextmanager
def listening() -> Iterator[tuple[str, list[float]]]:
    """A port that counts who connects, and says nothing."""
    contacts: list[float] = []
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()

        def accept() -> None:
            while True:
                try:
                    connection, _ = door.accept()
                except OSError:
                    return
                contacts.append(time.monotonic())
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}", contacts
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_the_server_never_connects_to_a_vault_and_a_runner_does(scene: Scene):
    with listening() as (address, contacts):
        api, project = scene.api, scene.api.project(scene.unique("contacted"))
        credential = scene.credential(address, "deploy", "jwt")
        api.assign(credential, project)
        api.call(
            "PUT",
            f"/credentials/{credential}/recorded-role",
            {"roleName": "deploy", "mount": "jwt", "role": "{}", "config": "{}"},
        )
        api.of_organization("/credentials")
        pool = scene.unique("empty")
        api.call("POST", "/runners/join-tokens", {"organizationId": api.organization_id, "pool": pool})
        made = make(scene, project, credential, pool=pool)
        assert api.call("GET", f"/connection-tests/{made['id']}")["status"] == "QUEUED"
        time.sleep(1)
        assert contacts == []
        found = until_done(scene, make(scene, project, credential))
        assert verdicts(found)["server"] == "failed"
        assert contacts


def test_a_refusal_is_explained_with_what_was_recorded_to_those_who_may_see_it(scene: Scene, guided: Project):
    stranger = scene.api.project(scene.unique("stranger"))
    scene.api.assign(guided.credential, stranger)
    with scene.operator() as operator:
        data = {
            "role": operator.read(f"auth/{guided.mount}/role/{guided.role}").data,
            "config": operator.read(f"auth/{guided.mount}/config").data,
        }
    recorded = {name: json.dumps(dict(value)) for name, value in data.items()}
    body = {"roleName": guided.role, "mount": guided.mount, **recorded}
    scene.api.call("PUT", f"/credentials/{guided.credential}/recorded-role", body)
    deployment, log = scene.deploy(stranger, "true", SECRET=guided.reference)
    assert deployment["status"] == "FAILURE"
    seen = scene.api.call("GET", f"/environments/deployments/{deployment['id']}")
    (check,) = seen["refusal"]["checks"]
    assert check["name"] == 'bound claim "projectId"'
    assert guided.id in check["expected"]
    assert check["received"] == json.dumps(stranger)
    assert "bao write" in check["fix"]
    assert guided.id not in log
    assert f'Not accepted: bound claim "projectId". This run has: "{stranger}".' in log
    with as_role(scene, stranger, "Viewer") as viewer:
        (check,) = viewer.call("GET", f"/environments/deployments/{deployment['id']}")["refusal"]["checks"]
    assert (check["expected"], check["fix"], check["received"]) == (None, None, json.dumps(stranger))


def test_a_role_that_was_changed_since_it_was_recorded_is_told_and_the_run_ends_all_the_same(
    scene: Scene, guided: Project
):
    role = {"bound_claims": {"organizationId": scene.api.organization_id}, "user_claim": "sub", "role_type": "jwt"}
    body = {"roleName": guided.role, "mount": guided.mount, "role": json.dumps(role), "config": "{}"}
    scene.api.call("PUT", f"/credentials/{guided.credential}/recorded-role", body)
    stranger = scene.api.project(scene.unique("stranger"))
    scene.api.assign(guided.credential, stranger)
    deployment, log = scene.deploy(stranger, "true", SECRET=guided.reference)
    assert deployment["status"] == "FAILURE"
    seen = scene.api.call("GET", f"/environments/deployments/{deployment['id']}")
    assert [(check["name"], check["passed"]) for check in seen["refusal"]["checks"]] == [
        ('bound_claim "projectId"', False),
        ("recorded role", None),
    ]
    assert "it has been changed since. `runpass vault drift` shows how." in log
    assert "shows how.." not in log


def test_without_a_record_the_check_and_the_runs_own_value_are_told(scene: Scene, guided: Project):
    stranger = scene.api.project(scene.unique("stranger"))
    scene.api.assign(guided.credential, stranger)
    deployment, log = scene.deploy(stranger, "true", SECRET=guided.reference)
    seen = scene.api.call("GET", f"/environments/deployments/{deployment['id']}")
    (check,) = seen["refusal"]["checks"]
    assert (check["name"], check["received"]) == ('bound_claim "projectId"', json.dumps(stranger))
    assert stranger in log
