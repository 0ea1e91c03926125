"""`Idempotency-Key`: the same request twice is done once, also when both come at once, on both databases."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from factories import MovingClock, Tenant, World
from management_api import ManagementApi
from runpass.server.access.permissions import ProjectRole
from runpass.server.db.encryption import Cipher
from runpass.server.db.schema.deployments import deployments, idempotency_keys
from runpass.server.db.schema.tenancy import environments
from runpass.server.environments.idempotency import KEPT
from runpass.server.environments.idempotency_store import prune_keys
from runpass.server.templates.model import Template
from runpass.server.tenancy.model import Project

ATTEMPTS = 6


def wanted(project: Project, template: Template, **more: Any) -> dict[str, Any]:
    return {
        "name": "made",
        "projectId": str(project.id),
        "deployRequest": {"blueprintId": str(template.id)},
        **more,
    }


def counted(world: World, table: Any) -> int:
    with world.database.read() as tx:
        return int(tx.execute(select(func.count()).select_from(table)).scalar_one())


def test_the_same_request_with_the_same_key_gives_the_same_environment(
    api: ManagementApi, world: World, project: Project, template: Template
):
    body = wanted(project, template)
    first = api.answer("POST", "/environments", body, status=201, idempotency_key="k")
    second = api.answer("POST", "/environments", body, status=201, idempotency_key="k")
    assert second.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert (counted(world, environments), counted(world, deployments)) == (1, 1)
    api.call("POST", "/environments", body, status=201, idempotency_key="other")
    api.call("POST", "/environments", body, status=201)
    assert counted(world, environments) == 3


def test_every_route_that_queues_knows_the_key(api: ManagementApi, world: World, project: Project, template: Template):
    alone = {"name": "a", "projectId": str(project.id), "type": "shell", "commands": ["true"]}
    made = api.call("POST", "/environments/without-template", alone, status=201, idempotency_key="1")
    again = api.call("POST", "/environments/without-template", alone, status=201, idempotency_key="1")
    assert made == again
    for number, (path, body) in enumerate((("deployments", {}), ("destroy", None)), 2):
        route = f"/environments/{made['id']}/{path}"
        first = api.call("POST", route, body, status=201, idempotency_key=str(number))
        assert api.call("POST", route, body, status=201, idempotency_key=str(number)) == first
    assert (counted(world, environments), counted(world, deployments)) == (1, 3)


def test_a_key_without_a_deployment_is_known_too(
    api: ManagementApi, world: World, project: Project, template: Template
):
    body = wanted(project, template, preventAutoDeploy=True)
    first = api.call("POST", "/environments", body, status=201, idempotency_key="k")
    assert api.call("POST", "/environments", body, status=201, idempotency_key="k") == first
    assert (counted(world, environments), counted(world, deployments)) == (1, 0)


def test_a_key_that_was_used_for_another_request_is_refused(api: ManagementApi, project: Project, template: Template):
    made = api.call("POST", "/environments", wanted(project, template), status=201, idempotency_key="k")
    other = wanted(project, template, name="other")
    refused = api.call("POST", "/environments", other, status=422, idempotency_key="k")
    assert [item["field"] for item in refused["errors"]] == ["Idempotency-Key"]
    api.call("POST", f"/environments/{made['id']}/deployments", {}, status=422, idempotency_key="k")


def test_a_request_that_failed_leaves_no_key(api: ManagementApi, world: World, project: Project, template: Template):
    body = wanted(project, template)
    broken = {**body, "deployRequest": {"blueprintId": str(template.id), "runnerPool": "nobody"}}
    api.call("POST", "/environments", broken, status=422, idempotency_key="k")
    assert counted(world, idempotency_keys) == counted(world, environments) == 0
    api.call("POST", "/environments", body, status=201, idempotency_key="k")


def test_a_key_belongs_to_who_sent_it(
    api: ManagementApi, tenant: Tenant, world: World, project: Project, template: Template
):
    deployer = api.of(tenant, {project.id: ProjectRole.DEPLOYER})
    body = wanted(project, template)
    first = api.call("POST", "/environments", body, status=201, idempotency_key="k")
    second = deployer.call("POST", "/environments", body, status=201, idempotency_key="k")
    assert first["id"] != second["id"]
    assert counted(world, environments) == 2


def test_an_old_key_tells_nothing_of_what_its_owner_may_not_see_any_more(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    elsewhere = tenant.project("elsewhere")
    api.call("PATCH", f"/blueprints/{template.id}/projects", {"projectId": str(elsewhere.id)})
    deployer = api.of(tenant, {project.id: ProjectRole.DEPLOYER})
    body = wanted(project, template, preventAutoDeploy=True)
    made = deployer.call("POST", "/environments", body, status=201, idempotency_key="k")
    api.call("POST", f"/environments/{made['id']}/move", {"projectId": str(elsewhere.id)})
    deployer.call("POST", "/environments", body, status=404, idempotency_key="k")


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb"])
def test_a_key_is_a_short_line_of_ascii(api: ManagementApi, project: Project, template: Template, key: str):
    answer = api.client.post(
        "/environments",
        json=wanted(project, template),
        headers={"Idempotency-Key": key.encode("latin-1")},
        auth=api.auth,
    )
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["errors"]] == ["Idempotency-Key"]


def test_identical_requests_at_once_queue_one_deployment(
    api: ManagementApi, world: World, project: Project, template: Template
):
    made = api.call("POST", "/environments", wanted(project, template, preventAutoDeploy=True), status=201)
    for route, body in (
        ("/environments", wanted(project, template)),
        (f"/environments/{made['id']}/deployments", {"comment": "once"}),
        (f"/environments/{made['id']}/destroy", None),
    ):
        before = counted(world, deployments)
        together = Barrier(ATTEMPTS)

        def send(route: str = route, body: Any = body, together: Barrier = together) -> Any:
            together.wait()
            return api.client.post(route, json=body, headers={"Idempotency-Key": route}, auth=api.auth)

        with ThreadPoolExecutor(ATTEMPTS) as pool:
            answers = [future.result() for future in [pool.submit(send) for _ in range(ATTEMPTS)]]
        assert {answer.status_code for answer in answers} <= {201, 409}, [answer.text for answer in answers]
        good = [answer.json()["id"] for answer in answers if answer.status_code == 201]
        assert len(good) >= 1
        assert len(set(good)) == 1
        assert counted(world, deployments) == before + 1


def test_keys_are_forgotten_after_a_day(
    api: ManagementApi, world: World, project: Project, template: Template, clock: MovingClock
):
    body = wanted(project, template)
    api.call("POST", "/environments", body, status=201, idempotency_key="old")
    clock.advance(KEPT - timedelta(seconds=1))
    api.call("POST", "/environments", body, status=201, idempotency_key="new")
    clock.advance(timedelta(seconds=2))
    with world.database.write() as tx:
        assert prune_keys(tx, clock.now() - KEPT, limit=10) == 1
        assert list(tx.execute(select(idempotency_keys.c.key)).scalars()) == ["new"]


def test_what_is_kept_of_a_request_gives_no_guess_at_its_secrets(
    api: ManagementApi, world: World, project: Project, template: Template
):
    """Whoever has the database and no master key could else try short secrets until the fingerprint fits."""
    secret = [{"name": "PIN", "value": "4711", "isSensitive": True}]
    body = wanted(project, template, configurationChanges=secret)
    sent = api.answer("POST", "/environments", body, status=201, idempotency_key="k").request
    with world.database.read() as tx:
        kept = bytes(tx.execute(select(idempotency_keys.c.fingerprint)).scalar_one())
    parts = (b"POST", b"/environments", sent.content)
    guessed = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
    assert b"4711" in sent.content
    assert (kept,) == world.cipher.fingerprints(*parts)
    assert kept not in {guessed, *Cipher(bytes(32)).fingerprints(*parts)}
