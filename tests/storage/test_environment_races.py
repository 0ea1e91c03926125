"""Two requests about one environment at once, on both databases: one order or the other, and never a mixture."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID

from sqlalchemy import select

from factories import Tenant, World, holder
from management_api import ManagementApi
from runpass.protocol.reports import Finish, Outcome
from runpass.server.db.schema.deployments import deployments
from runpass.server.db.schema.tenancy import environments, projects
from runpass.server.deployments.run_leases import finish, take
from runpass.server.templates.model import Template
from runpass.server.tenancy.model import Project

ROUNDS = 8
UNFINISHED = ("QUEUED", "IN_PROGRESS", "WAITING_FOR_USER", "APPROVED", "ABORTING")


def body(project: Project, template: Template, **more: Any) -> dict[str, Any]:
    return {"name": "made", "projectId": str(project.id), "deployRequest": {"blueprintId": str(template.id)}, **more}


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make these calls at the same moment; give what each gave."""
    together = Barrier(len(calls))

    def call(one: Callable[[], Any]) -> Any:
        together.wait()
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call, one) for one in calls]]


def sender(api: ManagementApi, method: str, path: str, content: Any = None) -> Callable[[], int]:
    return lambda: api.client.request(method, path, json=content, auth=api.auth).status_code


def states(world: World, environment: dict[str, Any]) -> set[str]:
    found = api_deployments(world, environment)
    return {status for status, _ in found}


def api_deployments(world: World, environment: dict[str, Any]) -> list[tuple[str, str]]:
    query = select(deployments.c.status, deployments.c.project_id).order_by(deployments.c.id)
    with world.database.read() as tx:
        rows = tx.execute(query.where(deployments.c.environment_id == UUID(environment["id"]))).all()
    return [(row.status, str(row.project_id)) for row in rows]


def test_a_move_and_a_deployment_at_once_leave_no_deployment_behind(
    api: ManagementApi, tenant: Tenant, world: World, project: Project, template: Template
):
    other = tenant.project("other")
    api.call("PATCH", f"/blueprints/{template.id}/projects", {"projectId": str(other.id)})
    for _ in range(ROUNDS):
        made = api.call("POST", "/environments", body(project, template, preventAutoDeploy=True), status=201)
        path = f"/environments/{made['id']}"
        moved, deployed = at_once(
            sender(api, "POST", f"{path}/move", {"projectId": str(other.id)}),
            sender(api, "POST", f"{path}/deployments", {}),
        )
        assert moved in {200, 409}
        assert deployed in {201, 409}
        home = api.call("GET", path)["projectId"]
        assert {place for _, place in api_deployments(world, made)} <= {home}


def test_archiving_and_deploying_at_once_leave_nothing_queued_in_the_archive(
    api: ManagementApi, world: World, project: Project, template: Template
):
    for _ in range(ROUNDS):
        made = api.call("POST", "/environments", body(project, template), status=201)
        path = f"/environments/{made['id']}"
        archived, deployed = at_once(
            sender(api, "PUT", path, {"isArchived": True}), sender(api, "POST", f"{path}/deployments", {})
        )
        assert archived == 200
        assert deployed in {201, 409}
        assert states(world, made) == {"CANCELLED"}


def test_archiving_while_a_runner_takes_the_deployment_does_one_or_the_other(
    api: ManagementApi, tenant: Tenant, world: World, project: Project, template: Template
):
    runner = tenant.runner()
    for _ in range(ROUNDS):
        made = api.call("POST", "/environments", body(project, template), status=201)
        archived, lease = at_once(
            sender(api, "PUT", f"/environments/{made['id']}", {"isArchived": True}),
            lambda: take(world.rules, runner),
        )
        assert archived in {200, 409}
        assert states(world, made) == ({"IN_PROGRESS"} if lease else {"CANCELLED"} if archived == 200 else {"QUEUED"})
        if lease:
            last_word = Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS)
            finish(world.rules, holder(runner, lease), last_word)
        elif archived != 200:
            api.call("PUT", f"/environments/{made['id']}", {"isArchived": True})


def test_making_an_environment_while_its_project_is_deleted_leaves_none_alive_in_it(
    api: ManagementApi, tenant: Tenant, world: World
):
    for number in range(ROUNDS):
        project = tenant.project(f"p{number}")
        template = tenant.template(project)
        made, deleted = at_once(
            sender(api, "POST", "/environments", body(project, template)),
            sender(api, "DELETE", f"/projects/{project.id}"),
        )
        assert made in {201, 404}
        assert deleted in {204, 409}
        with world.database.read() as tx:
            gone = tx.execute(select(projects.c.deleted_at).where(projects.c.id == project.id)).scalar_one()
            mine = environments.c.project_id == project.id
            alive = tx.execute(select(environments.c.id).where(mine, environments.c.is_archived.is_(False))).all()
            waiting = deployments.c.status.in_(UNFINISHED) & (deployments.c.project_id == project.id)
            left = tx.execute(select(deployments.c.id).where(waiting)).all()
        assert gone is None or (alive, left) == ([], [])


def test_two_moves_two_destructions_and_two_changes_at_once_are_no_failure_of_the_server(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    places = [tenant.project("one"), tenant.project("two")]
    for place in places:
        api.call("PATCH", f"/blueprints/{template.id}/projects", {"projectId": str(place.id)})
    for _ in range(ROUNDS):
        made = api.call("POST", "/environments", body(project, template, preventAutoDeploy=True), status=201)
        path = f"/environments/{made['id']}"
        moved = at_once(*(sender(api, "POST", f"{path}/move", {"projectId": str(place.id)}) for place in places))
        assert 200 in moved
        assert set(moved) <= {200, 409}
        changed = at_once(*(sender(api, "PUT", path, {"name": name}) for name in ("a", "b", "c")))
        assert set(changed) <= {200, 409}
        assert set(at_once(*[sender(api, "POST", f"{path}/destroy")] * 3)) == {201}
