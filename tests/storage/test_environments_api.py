"""The routes of environments, on both databases: what comes back, who may, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from factories import MovingClock, Tenant, World, holder
from management_api import ManagementApi
from runpass.protocol.reports import Finish, Outcome
from runpass.server.access.permissions import ProjectRole
from runpass.server.db.schema.audit import audit_events
from runpass.server.deployments.run_leases import finish, take
from runpass.server.templates.model import Template
from runpass.server.tenancy.model import Project

SETTINGS = {
    "requiresApproval": True,
    "continuousDeployment": True,
    "pullRequestPlanDeployments": True,
    "autoDeployOnPathChangesOnly": True,
    "autoDeployByCustomGlob": "**/*.tf",
    "vcsCommandsAlias": "prod",
    "vcsPrCommentsEnabled": True,
    "terragruntWorkingDirectory": "live",
    "isRemoteBackend": True,
    "isRemoteApplyEnabled": True,
    "k8sNamespace": "team",
}
UNSET = {name: "" if isinstance(value, str) else False for name, value in SETTINGS.items()}


def created(api: ManagementApi, project: Project, template: Template | None, **more: Any) -> dict[str, Any]:
    deploy = {"blueprintId": str(template.id) if template else None, **more.pop("deploy", {})}
    body = {"name": "made", "projectId": str(project.id), "deployRequest": deploy, **more}
    answer: dict[str, Any] = api.call("POST", "/environments", body, status=201)
    return answer


def run(tenant: Tenant, outcome: Outcome = Outcome.SUCCESS) -> None:
    """Let a runner take the next deployment and end it."""
    runner = tenant.runner()
    lease = take(tenant.world.rules, runner)
    assert lease is not None
    finish(tenant.world.rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=outcome))


def actions(world: World) -> list[str]:
    with world.database.read() as tx:
        return list(tx.execute(select(audit_events.c.action).order_by(audit_events.c.id)).scalars())


def test_what_is_sent_comes_back_and_what_is_not_is_empty(api: ManagementApi, project: Project, template: Template):
    plain = created(api, project, template, preventAutoDeploy=True)
    assert {name: plain[name] for name in UNSET} == UNSET
    full = created(api, project, template, preventAutoDeploy=True, workspaceName="mine", **SETTINGS)
    assert full["workspaceName"] == "mine"
    read = api.call("GET", f"/environments/{full['id']}")
    assert read == full
    assert {name: read[name] for name in SETTINGS} == SETTINGS
    assert api.call("PUT", f"/environments/{full['id']}", {"name": "made"})["updatedAt"] >= full["updatedAt"]
    changed = api.call("PUT", f"/environments/{full['id']}", {**UNSET, "name": "renamed"})
    again = api.call("GET", f"/environments/{full['id']}")
    assert again == changed
    assert {name: again[name] for name in UNSET} == UNSET
    assert (again["name"], again["workspaceName"]) == ("renamed", "mine")


def test_a_change_of_one_setting_leaves_the_others(api: ManagementApi, project: Project, template: Template):
    made = created(api, project, template, preventAutoDeploy=True, **SETTINGS)
    changed = api.call("PUT", f"/environments/{made['id']}", {"vcsCommandsAlias": "", "isRemoteBackend": None})
    assert {name: changed[name] for name in SETTINGS} == {**SETTINGS, "vcsCommandsAlias": ""}


def test_an_environment_without_a_workspace_name_gets_one_and_keeps_it(
    api: ManagementApi, project: Project, template: Template
):
    made = created(api, project, template, workspaceName="")
    assert made["workspaceName"].startswith("env0")
    assert api.call("PUT", f"/environments/{made['id']}", {"name": "other"})["workspaceName"] == made["workspaceName"]


def test_an_environment_that_was_never_deployed_still_names_its_template(
    api: ManagementApi, project: Project, template: Template
):
    made = created(api, project, template, preventAutoDeploy=True, deploy={"blueprintRevision": "v1"})
    assert made["latestDeploymentLogId"] is None
    assert made["latestDeploymentLog"] == {
        "blueprintId": str(template.id),
        "blueprintRevision": "v1",
        "type": "deploy",
        "status": "NEVER_DEPLOYED",
    }


def test_the_newest_deployment_names_the_revision_that_was_asked_for(
    api: ManagementApi, project: Project, template: Template
):
    made = created(api, project, template, deploy={"blueprintRevision": "main"})
    latest = made["latestDeploymentLog"]
    assert (latest["blueprintId"], latest["blueprintRevision"]) == (str(template.id), "main")
    assert (latest["id"], latest["status"]) == (made["latestDeploymentLogId"], "QUEUED")
    assert latest["workflowFile"] is None
    assert latest["startedByUser"]["user_id"] == latest["startedBy"] == made["user"]["user_id"]
    second = api.call("POST", f"/environments/{made['id']}/deployments", {"blueprintRevision": "v2"}, status=201)
    listed = api.call("GET", f"/environments/{made['id']}/deployments?limit=1")
    assert [item["id"] for item in listed] == [second["id"]]
    assert api.call("GET", f"/environments/{made['id']}/deployments?offset=1")[0]["blueprintRevision"] == "main"


def test_a_destroyed_environment_is_archived_and_destroying_it_again_is_400(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    made = created(api, project, template, deploy={"blueprintRevision": "main"})
    run(tenant)
    destroyed = api.call(
        "POST", f"/environments/{made['id']}/destroy?skipStateRefresh=true&checkoutUpdatedCode=false", status=201
    )
    assert (destroyed["type"], destroyed["blueprintRevision"]) == ("destroy", "main")
    run(tenant)
    gone = api.call("GET", f"/environments/{made['id']}")
    assert (gone["status"], gone["isArchived"]) == ("INACTIVE", True)
    refused = api.call("POST", f"/environments/{made['id']}/destroy", {}, status=400)
    assert refused["code"] == "already_destroyed"
    api.answer("DELETE", f"/projects/{project.id}", status=204)
    assert api.call("GET", f"/environments/{made['id']}")["isArchived"] is True


def test_archiving_cancels_what_is_queued_and_waits_for_what_is_going_on(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    made = created(api, project, template)
    path = f"/environments/{made['id']}"
    runner = tenant.runner()
    lease = take(tenant.world.rules, runner)
    assert lease is not None
    later = api.call("POST", f"{path}/deployments", {}, status=201)
    api.call("PUT", path, {"isArchived": True}, status=409)
    last_word = Finish(fencing_token=lease.fencing_token, outcome=Outcome.FAILURE)
    finish(tenant.world.rules, holder(runner, lease), last_word)
    assert api.call("PUT", path, {"isArchived": True})["isArchived"] is True
    assert api.call("GET", f"/environments/deployments/{later['id']}")["status"] == "CANCELLED"
    api.call("POST", f"{path}/deployments", {}, status=409)
    api.call("POST", f"{path}/destroy", status=400)
    api.call("PUT", f"{path}/ttl", {"type": "INFINITE"}, status=409)
    assert api.call("PUT", path, {"isArchived": False})["isArchived"] is False
    api.call("POST", f"{path}/deployments", {}, status=201)


def test_nothing_is_made_or_deployed_in_an_archived_project(api: ManagementApi, tenant: Tenant):
    parent = tenant.project("parent")
    project = tenant.project("child", parent)
    template = tenant.template(parent)
    made = created(api, project, template, preventAutoDeploy=True)
    api.call("PUT", f"/projects/{parent.id}", {"name": "parent", "isArchived": True})
    body = {"name": "x", "projectId": str(project.id), "deployRequest": {"blueprintId": str(template.id)}}
    api.call("POST", "/environments", body, status=409)
    api.call("POST", f"/environments/{made['id']}/deployments", {}, status=409)
    api.call("POST", f"/environments/{made['id']}/destroy", status=409)


def test_a_template_must_be_assigned_to_the_project_or_above_it(api: ManagementApi, tenant: Tenant, project: Project):
    foreign = tenant.template(name="foreign")
    body = {"name": "x", "projectId": str(project.id), "deployRequest": {"blueprintId": str(foreign.id)}}
    answer = api.call("POST", "/environments", body, status=422)
    assert answer["errors"][0]["field"].endswith("blueprintId")


def test_an_environment_can_bring_its_own_template(api: ManagementApi, tenant: Tenant, project: Project):
    body = {
        "name": "alone",
        "projectId": str(project.id),
        "type": "shell",
        "commands": ["true"],
        "description": "its own",
        "deployRequest": {"blueprintId": "", "comment": "first"},
        "isRemoteApplyEnabled": False,
        "autoDeployByCustomGlob": "",
    }
    made = api.call("POST", "/environments/without-template", body, status=201)
    assert made["isSingleUseBlueprint"] is True
    assert made["latestDeploymentLog"]["blueprintId"] == made["blueprintId"]
    template = api.call("GET", f"/blueprints/{made['blueprintId']}")
    assert template["name"] == "single-use-template-for-alone"
    assert api.call("GET", f"/blueprints?organizationId={tenant.id}") == []
    assert api.call("GET", f"/environments/{made['id']}") == made
    shared = tenant.template(project)
    api.call("POST", f"/environments/{made['id']}/deployments", {"blueprintId": str(shared.id)}, status=201)
    assert api.call("GET", f"/environments/{made['id']}")["isSingleUseBlueprint"] is False
    missing = api.call("POST", "/environments/without-template", {**body, "commands": []}, status=422)
    assert [item["field"] for item in missing["errors"]] == ["commands"]


def test_a_planner_deploys_what_is_there_and_decides_nothing(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    made = created(api, project, template, preventAutoDeploy=True)
    path = f"/environments/{made['id']}"
    planner = api.of(tenant, {project.id: ProjectRole.PLANNER})
    queued = planner.call("POST", f"{path}/deployments", {}, status=201)
    assert queued["requiresApproval"] is True
    for body in (
        {"configurationChanges": [{"name": "A", "value": "b"}]},
        {"blueprintRevision": "mine"},
        {"ttl": {"type": "HOURS", "value": "1"}},
        {"deploymentType": "task", "taskCommands": ["true"]},
    ):
        planner.call("POST", f"{path}/deployments", body, status=403)
    planner.call("PUT", path, {"requiresApproval": False}, status=403)
    planner.call("PUT", path, {"isArchived": True}, status=403)
    planner.call("PUT", f"{path}/ttl", {"type": "INFINITE"}, status=403)
    planner.call("POST", f"{path}/destroy", {}, status=201)
    body = {"name": "x", "projectId": str(project.id), "deployRequest": {"blueprintId": str(template.id)}}
    planner.call("POST", "/environments", body, status=403)


def test_a_deployer_makes_and_changes_environments_and_archives_none(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    deployer = api.of(tenant, {project.id: ProjectRole.DEPLOYER})
    made = created(deployer, project, template, requiresApproval=True, preventAutoDeploy=True)
    path = f"/environments/{made['id']}"
    assert deployer.call("PUT", path, {"requiresApproval": False})["requiresApproval"] is False
    deployer.call("PUT", path, {"isArchived": True}, status=403)
    deployer.call("PUT", path, {"name": "x", "isArchived": True}, status=403)
    assert deployer.call("GET", path)["name"] == "made"
    viewer = api.of(tenant, {project.id: ProjectRole.VIEWER})
    viewer.call("POST", f"{path}/deployments", {}, status=403)
    viewer.call("POST", f"{path}/destroy", {}, status=403)


def test_an_environment_with_an_approval_setting_is_deployed_only_after_one(
    api: ManagementApi, project: Project, template: Template
):
    made = created(api, project, template, requiresApproval=True, deploy={"userRequiresApproval": False})
    assert made["latestDeploymentLog"]["requiresApproval"] is True


def test_variables_are_saved_changed_and_deleted_with_a_deployment(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    changes = [{"name": "A", "value": "1", "scope": "DEPLOYMENT"}, {"name": "B", "value": "2", "type": 1}]
    made = created(api, project, template, preventAutoDeploy=True, configurationChanges=changes)
    query = f"/configuration?organizationId={tenant.id}&environmentId={made['id']}"
    found = {item["name"]: item for item in api.call("GET", query)}
    assert {name: item["scope"] for name, item in found.items()} == {"A": "ENVIRONMENT", "B": "ENVIRONMENT"}
    later = [
        {"id": found["A"]["id"], "name": "A", "value": "3", "scope": "DEPLOYMENT"},
        {"id": found["B"]["id"], "name": "B", "value": "", "toDelete": True},
    ]
    body = {"configurationChanges": later}
    api.call("POST", f"/environments/{made['id']}/deployments", body, status=201)
    assert [(item["name"], item["value"]) for item in api.call("GET", query)] == [("A", "3")]


@pytest.mark.parametrize(
    "body",
    [
        {"subEnvironments": {"a": {}}},
        {"deploymentType": "prPlan"},
        {"configurationSetChanges": {"assign": ["x"]}},
    ],
)
def test_what_only_env0_has_is_refused_with_a_sentence(
    api: ManagementApi, project: Project, template: Template, body: dict[str, Any]
):
    made = created(api, project, template, preventAutoDeploy=True)
    answer = api.call("POST", f"/environments/{made['id']}/deployments", body, status=501)
    assert answer["code"] == "not_offered"
    assert api.call("GET", f"/environments/{made['id']}/deployments") == []


@pytest.mark.parametrize(
    "parts",
    [{"canary" * 50: {}}, {"canary": 7}, {f"canary-{number}": {} for number in range(101)}, {"canary": "text"}],
)
def test_a_malformed_workflow_is_refused_without_repeating_its_names(
    api: ManagementApi, project: Project, template: Template, parts: dict[str, Any]
):
    made = created(api, project, template, preventAutoDeploy=True)
    answer = api.call("POST", f"/environments/{made['id']}/deployments", {"subEnvironments": parts}, status=422)
    assert answer["errors"][0]["field"].startswith("subEnvironments")
    assert "canary" not in str(answer)


def test_schedules_are_empty_and_stay_so(api: ManagementApi, project: Project, template: Template):
    made = created(api, project, template, preventAutoDeploy=True)
    drift, schedules = (
        f"/scheduling/drift-detection/environments/{made['id']}",
        f"/scheduling/environments/{made['id']}",
    )
    assert api.call("GET", drift) == {"enabled": False}
    assert api.call("PATCH", drift, {"enabled": False}) == {"enabled": False}
    api.call("PATCH", drift, {"enabled": True, "cron": "0 * * * *"}, status=501)
    assert api.call("GET", schedules) == {}
    assert api.call("PUT", schedules, {}) == {}
    api.call("PUT", schedules, {"destroy": {"cron": "0 * * * *", "enabled": True}}, status=501)


def test_an_environment_moves_with_its_variables_to_where_its_template_is(
    api: ManagementApi, world: World, tenant: Tenant, project: Project, template: Template
):
    other, without = tenant.project("other"), tenant.project("without")
    api.call("PATCH", f"/blueprints/{template.id}/projects", {"projectId": str(other.id)})
    changes = [{"name": "A", "value": "1"}]
    made = created(api, project, template, configurationChanges=changes)
    path = f"/environments/{made['id']}"
    api.call("POST", f"{path}/move", {"projectId": str(other.id)}, status=409)
    run(tenant)
    api.call("POST", f"{path}/move", {"projectId": str(without.id)}, status=422)
    half = api.of(tenant, {project.id: ProjectRole.DEPLOYER, other.id: ProjectRole.PLANNER})
    half.call("POST", f"{path}/move", {"projectId": str(other.id)}, status=403)
    one = api.of(tenant, {project.id: ProjectRole.ADMIN})
    one.call("POST", f"{path}/move", {"projectId": str(other.id)}, status=404)
    moved = api.call("POST", f"{path}/move", {"projectId": str(other.id)})
    assert moved["projectId"] == str(other.id)
    query = f"/configuration?organizationId={tenant.id}&environmentId={made['id']}"
    assert [item["name"] for item in api.call("GET", query)] == ["A"]
    assert "environment.moved" in actions(world)
    one.call("GET", path, status=404)


def test_environments_are_listed_in_pages_by_name_and_by_activity(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template
):
    made = [created(api, project, template, name=f"e{number}", preventAutoDeploy=True) for number in range(5)]
    api.call("PUT", f"/environments/{made[0]['id']}", {"isArchived": True})
    where = f"/environments?projectId={project.id}"
    ids = [item["id"] for item in made]
    assert [item["id"] for item in api.call("GET", where)] == ids
    assert [item["id"] for item in api.call("GET", f"{where}&limit=2&offset=2")] == ids[2:4]
    assert [item["id"] for item in api.call("GET", f"{where}&name=e3")] == ids[3:4]
    assert [item["id"] for item in api.call("GET", f"{where}&isActive=true")] == ids[1:]
    assert [item["id"] for item in api.call("GET", f"{where}&isActive=false")] == ids[:1]
    assert api.call("GET", f"/environments?organizationId={tenant.id}") == api.call("GET", where)
    api.call("GET", "/environments", status=422)


def test_a_list_takes_as_many_queries_for_many_as_for_one_and_shows_only_what_may_be_seen(
    api: ManagementApi, world: World, tenant: Tenant
):
    root, hidden = tenant.project("root"), tenant.project("hidden")
    leaf = tenant.project("leaf", root)
    template = tenant.template(root, hidden)
    viewer = api.of(tenant, {root.id: ProjectRole.VIEWER})
    counts = []
    for rounds in (1, 6):
        for number in range(rounds):
            for place in (root, leaf, hidden):
                created(api, place, template, name=f"e{rounds}{number}")
        viewer.call("GET", f"/environments?organizationId={tenant.id}")  # the key's first use writes that it was used
        statements: list[str] = []

        def count(*arguments: Any, into: list[str] = statements) -> None:
            into.append(str(arguments[2]))

        event.listen(world.database.engine, "before_cursor_execute", count)
        found = viewer.call("GET", f"/environments?organizationId={tenant.id}")
        event.remove(world.database.engine, "before_cursor_execute", count)
        counts.append(len(statements))
        assert {item["projectId"] for item in found} == {str(root.id), str(leaf.id)}
    assert counts[0] == counts[1]
    viewer.call("GET", f"/environments?projectId={hidden.id}", status=404)
    nobody = api.of(tenant, {})
    assert nobody.call("GET", f"/environments?organizationId={tenant.id}") == []


def test_a_change_on_top_of_another_one_is_refused_and_a_deployment_is_no_change(
    api: ManagementApi, tenant: Tenant, project: Project, template: Template, clock: MovingClock
):
    made = created(api, project, template)
    path = f"/environments/{made['id']}"
    tag = api.answer("GET", path).headers["etag"]
    clock.advance(timedelta(seconds=1))
    run(tenant)
    after = api.answer("GET", path)
    assert (after.json()["status"], after.headers["etag"]) == ("ACTIVE", tag)
    changed = api.answer("PUT", path, {"name": "second"}, if_match=tag)
    assert changed.headers["etag"] != tag
    api.call("PUT", path, {"name": "third"}, status=412, if_match=tag)
    api.call("PUT", f"{path}/ttl", {"type": "INFINITE"}, status=412, if_match=tag)
    assert api.call("GET", path)["name"] == "second"
