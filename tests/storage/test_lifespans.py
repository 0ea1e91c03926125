"""The end of an environment's lifespan, on both databases: what decides it, and the server that carries it out."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from factories import RUN_TIMEOUT_SECONDS, MovingClock, Tenant, World, holder
from management_api import ManagementApi
from runpass.ids import EnvironmentId
from runpass.protocol.reports import Finish, Outcome
from runpass.server.deployments.run_leases import finish, take
from runpass.server.environments.lifespan_ends import AGAIN, Lifespans
from runpass.server.tenancy import environment_store

HOUR = timedelta(hours=1)


@pytest.fixture
def body(tenant: Tenant) -> dict[str, Any]:
    project = tenant.project()
    template = tenant.template(project)
    return {"name": "made", "projectId": str(project.id), "deployRequest": {"blueprintId": str(template.id)}}


@pytest.fixture
def lifespans(world: World) -> Lifespans:
    return keeper(world)


def keeper(world: World) -> Lifespans:
    return Lifespans(world.database, world.cipher, world.clock, RUN_TIMEOUT_SECONDS)


def hours(count: int) -> dict[str, str]:
    return {"type": "HOURS", "value": str(count)}


def end(answer: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(answer["lifespanEndAt"])


def near(moment: datetime, expected: datetime) -> bool:
    return abs(moment - expected) < timedelta(milliseconds=2)


def run(tenant: Tenant, outcome: Outcome = Outcome.SUCCESS) -> None:
    runner = tenant.runner()
    lease = take(tenant.world.rules, runner)
    assert lease is not None
    finish(tenant.world.rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=outcome))


def deployments(api: ManagementApi, environment: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = api.call("GET", f"/environments/{environment['id']}/deployments")
    return [(item["type"], item["status"], item["triggerName"]) for item in found]


def test_a_lifespan_is_said_when_it_is_made_when_it_is_deployed_or_by_itself(
    api: ManagementApi, body: dict[str, Any], clock: MovingClock
):
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    assert near(end(made), clock.now() + HOUR)
    path = f"/environments/{made['id']}"
    api.call("POST", f"{path}/deployments", {"ttl": hours(2)}, status=201)
    assert near(end(api.call("GET", path)), clock.now() + 2 * HOUR)
    api.call("POST", f"{path}/deployments", {}, status=201)
    assert near(end(api.call("GET", path)), clock.now() + 2 * HOUR)
    date = (clock.now() + 3 * HOUR).isoformat()
    assert near(end(api.call("PUT", f"{path}/ttl", {"type": "DATE", "value": date})), clock.now() + 3 * HOUR)
    assert api.call("PUT", f"{path}/ttl", {"type": "INFINITE"})["lifespanEndAt"] is None


def test_policies_limit_lifespans_and_give_those_that_are_not_said(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock
):
    policies = {"maxTtl": "1-d", "defaultTtl": "2-h"}
    api.call("POST", f"/organizations/{tenant.id}/policies", policies)
    made = api.call("POST", "/environments", body, status=201)
    assert near(end(made), clock.now() + 2 * HOUR)
    for wrong, field in (({"type": "INFINITE"}, "type"), (hours(25), "value")):
        refused = api.call("PUT", f"/environments/{made['id']}/ttl", wrong, status=422)
        assert [item["field"] for item in refused["errors"]] == [field]
        refused = api.call("POST", "/environments", {**body, "ttl": wrong}, status=422)
        assert [item["field"] for item in refused["errors"]] == [f"ttl.{field}"]
    project = {"projectId": body["projectId"], "maxTtl": "3-h"}
    api.call("PUT", "/policies", project)
    api.call("PUT", f"/environments/{made['id']}/ttl", hours(4), status=422)
    api.call("PUT", f"/environments/{made['id']}/ttl", hours(3))


def test_the_server_destroys_once_what_has_lived_long_enough(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock, lifespans: Lifespans
):
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    run(tenant)
    assert lifespans.end_due() == []
    clock.advance(HOUR)
    assert len(lifespans.end_due()) == 1
    assert deployments(api, made)[0] == ("destroy", "QUEUED", "ttl")
    newest = api.call("GET", f"/environments/{made['id']}")["latestDeploymentLog"]
    assert newest["startedBy"] == newest["startedByUser"]["name"] == "system"
    assert lifespans.end_due() == []
    run(tenant)
    gone = api.call("GET", f"/environments/{made['id']}")
    assert (gone["status"], gone["isArchived"], gone["lifespanEndAt"]) == ("INACTIVE", True, None)


def test_what_is_going_on_is_waited_for_and_what_is_queued_is_cancelled(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock, lifespans: Lifespans
):
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    clock.advance(HOUR)
    runner = tenant.runner()
    lease = take(tenant.world.rules, runner)
    assert lease is not None
    assert lifespans.end_due() == []
    api.call("POST", f"/environments/{made['id']}/deployments", {}, status=201)
    finish(
        tenant.world.rules,
        holder(runner, lease),
        Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS),
    )
    assert len(lifespans.end_due()) == 1
    assert [(kind, status) for kind, status, _ in deployments(api, made)] == [
        ("destroy", "QUEUED"),
        ("deploy", "CANCELLED"),
        ("deploy", "SUCCESS"),
    ]


def test_the_server_needs_the_same_approval_as_everybody(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock, lifespans: Lifespans
):
    api.call("PUT", "/policies", {"projectId": body["projectId"], "requiresApprovalDefault": True})
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    clock.advance(HOUR)
    lifespans.end_due()
    newest = api.call("GET", f"/environments/{made['id']}")["latestDeploymentLog"]
    assert (newest["type"], newest["requiresApproval"]) == ("destroy", True)


def test_an_archived_environment_has_no_end_and_one_that_nobody_may_destroy_keeps_it(
    api: ManagementApi, body: dict[str, Any], clock: MovingClock, lifespans: Lifespans
):
    archived = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    kept = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    assert api.call("PUT", f"/environments/{archived['id']}", {"isArchived": True})["lifespanEndAt"] is None
    api.call("PUT", "/policies", {"projectId": body["projectId"], "disableDestroyEnvironments": True})
    clock.advance(HOUR)
    assert lifespans.end_due() == []
    assert api.call("GET", f"/environments/{kept['id']}")["lifespanEndAt"] is not None
    assert [kind for kind, _, _ in deployments(api, kept)] == ["deploy"]


def test_what_cannot_end_keeps_nothing_else_from_its_end(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock, world: World
):
    lifespans = Lifespans(world.database, world.cipher, clock, RUN_TIMEOUT_SECONDS, batch=2)
    protected = tenant.project("protected")
    template = tenant.template(protected)
    held = {**body, "projectId": str(protected.id), "deployRequest": {"blueprintId": str(template.id)}}
    for _ in range(4):
        api.call("POST", "/environments", {**held, "ttl": hours(1)}, status=201)
    api.call("PUT", "/policies", {"projectId": str(protected.id), "disableDestroyEnvironments": True})
    clock.advance(timedelta(seconds=1))
    free = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    clock.advance(HOUR)
    for _ in range(3):
        lifespans.end_due()
    assert deployments(api, free)[0] == ("destroy", "QUEUED", "ttl")


def test_several_servers_destroy_it_once(api: ManagementApi, world: World, body: dict[str, Any], clock: MovingClock):
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    clock.advance(HOUR)
    servers = [keeper(world) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        woken = [pools for future in [pool.submit(server.end_due) for server in servers] for pools in future.result()]
    assert len(woken) == 1
    assert [kind for kind, _, _ in deployments(api, made)] == ["destroy", "deploy"]


def test_a_destroyed_environment_that_is_deployed_again_begins_anew(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock, world: World
):
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    path = f"/environments/{made['id']}"
    run(tenant)
    api.call("POST", f"{path}/destroy", status=201)
    run(tenant)
    api.call("POST", f"/organizations/{tenant.id}/policies", {"maxTtl": "2-h", "defaultTtl": None})
    api.call("PUT", path, {"isArchived": False})
    api.call("POST", f"{path}/deployments", {}, status=201)
    with world.database.read() as tx:
        found = environment_store.get_environment(tx, tenant.id, EnvironmentId(UUID(made["id"])))
    assert found is not None
    assert found.lifespan_end_at == clock.now() + 2 * HOUR


def test_an_environment_that_is_unarchived_alive_gets_an_end_from_the_policy(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock
):
    api.call("POST", f"/organizations/{tenant.id}/policies", {"maxTtl": "2-h"})
    path = f"/environments/{api.call('POST', '/environments', body, status=201)['id']}"
    run(tenant)
    api.call("PUT", path, {"isArchived": True})
    assert near(end(api.call("PUT", path, {"isArchived": False})), clock.now() + 2 * HOUR)


def test_a_destruction_that_somebody_cancels_or_that_fails_is_queued_again(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock, lifespans: Lifespans
):
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    run(tenant)
    clock.advance(HOUR)
    lifespans.end_due()
    newest = api.call("GET", f"/environments/{made['id']}/deployments")[0]
    api.call("PUT", f"/environments/deployments/{newest['id']}/cancel")
    assert lifespans.end_due() == []
    clock.advance(AGAIN)
    assert len(lifespans.end_due()) == 1
    run(tenant, Outcome.FAILURE)
    clock.advance(AGAIN)
    assert len(lifespans.end_due()) == 1
    run(tenant)
    assert [status for _, status, _ in deployments(api, made)] == ["SUCCESS", "FAILURE", "CANCELLED", "SUCCESS"]
    clock.advance(AGAIN)
    assert lifespans.end_due() == []


def test_a_destruction_that_waits_for_its_approval_is_left_to_wait(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock, lifespans: Lifespans
):
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    run(tenant)
    api.call("PUT", "/policies", {"projectId": body["projectId"], "requiresApprovalDefault": True})
    clock.advance(HOUR)
    lifespans.end_due()
    run(tenant)
    clock.advance(AGAIN)
    assert lifespans.end_due() == []
    assert deployments(api, made)[0] == ("destroy", "WAITING_FOR_USER", "ttl")


def test_a_variable_that_cannot_be_resolved_keeps_nothing_from_its_end(
    api: ManagementApi, tenant: Tenant, body: dict[str, Any], clock: MovingClock, lifespans: Lifespans
):
    body["configurationChanges"] = [{"name": "NAME", "value": "as it was"}]
    made = api.call("POST", "/environments", {**body, "ttl": hours(1)}, status=201)
    run(tenant)
    place = {"scope": "ENVIRONMENT", "scopeId": made["id"], "organizationId": str(tenant.id)}
    api.call("POST", "/configuration", [{"name": "NAME", "value": f"${{env0:{made['id']}:nothing}}", **place}])
    api.call("POST", f"/environments/{made['id']}/destroy", status=422)
    clock.advance(HOUR)
    assert len(lifespans.end_due()) == 1
    lease = take(tenant.world.rules, tenant.runner())
    assert lease is not None
    assert [(item.name, item.value.reveal()) for item in lease.variables] == [("NAME", "as it was")]
