"""The routes of organizations, projects, policies and API keys, on both databases."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, select
from starlette.testclient import TestClient

from factories import Tenant, World
from management_api import admin_client
from runpass.ids import ProjectId, new_id
from runpass.server.access.api_keys import MOST_KEYS, KeyRequest, NewApiKey, create_api_key
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema.access import api_keys
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.tenancy import projects
from runpass.server.db.schema.variables import variables
from runpass.server.deployments import store as deployment_store
from runpass.server.deployments.run_leases import take
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.model import Project
from runpass.server.variables.model import VariableScope


@pytest.fixture
def api(world: World, tenant: Tenant) -> Iterator[TestClient]:
    with admin_client(world, tenant) as client:
        yield client


def key(tenant: Tenant, role: OrganizationRole, roles: dict[ProjectId, ProjectRole] | None = None) -> NewApiKey:
    with tenant.world.database.write() as tx:
        wanted = KeyRequest(tenant.id, "key", role, roles or {})
        return create_api_key(tx, wanted, by=tenant.admin.audit_name, clock=tenant.world.clock)


def auth(made: NewApiKey) -> dict[str, Any]:
    return {"auth": (made.key.api_key_id, made.secret.reveal())}


def refused(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["message"])


# --- organizations


def test_an_organization_gives_back_the_policies_that_it_was_sent(api: TestClient, tenant: Tenant):
    path = f"/organizations/{tenant.id}/policies"
    sent = {
        "maxTtl": "1-M",
        "defaultTtl": "12-h",
        "enableOidc": True,
        "requiresApproval": True,
        "allowClearTextVault": True,
        "doNotReportSkippedStatusChecks": True,
        "doNotConsiderMergeCommitsForPrPlans": True,
        "enforcePrCommenterPermissions": True,
        "allowMergeableBypassForPrApply": True,
    }
    answer = api.post(path, json=sent)
    assert answer.status_code == 200, answer.text
    assert answer.json().items() >= sent.items()
    (listed,) = api.get("/organizations").json()
    assert listed == answer.json()
    assert listed.items() >= {"role": "Admin", "isSelfHostedK8s": False, "photoUrl": None}.items()
    cleared = api.post(path, json={"maxTtl": None, "defaultTtl": None}).json()
    assert cleared == {**listed, "maxTtl": None, "defaultTtl": None, "updatedAt": cleared["updatedAt"]}


def test_a_default_lifetime_is_never_longer_than_the_longest(api: TestClient, tenant: Tenant):
    path = f"/organizations/{tenant.id}/policies"
    assert "must not be longer than maxTtl" in refused(api.post(path, json={"maxTtl": "1-h", "defaultTtl": "1-d"}), 422)
    assert api.post(path, json={"maxTtl": "1-d", "defaultTtl": "1-d"}).status_code == 200
    assert "defaultTtl" in refused(api.post(path, json={"maxTtl": "1-h"}), 422)
    both = api.post(path, json={"maxTtl": "1-x", "defaultTtl": 5})
    assert [item["field"] for item in both.json()["errors"]] == ["maxTtl", "defaultTtl"]


def test_policies_are_not_changed_on_top_of_somebody_elses_change(api: TestClient, tenant: Tenant):
    path = f"/organizations/{tenant.id}/policies"
    first = api.post(path, json={"enableOidc": True})
    second = api.post(path, json={"enableOidc": False}, headers={"If-Match": first.headers["etag"]})
    assert second.status_code == 200
    late = api.post(path, json={"enableOidc": True}, headers={"If-Match": first.headers["etag"]})
    assert refused(late, 412).startswith("this has changed")


def test_the_sub_is_told_as_bare_text(api: TestClient, tenant: Tenant):
    answer = api.get("/api-keys/oidc-sub", params={"organizationId": str(tenant.id)})
    assert answer.text == tenant.organization.oidc_sub
    assert answer.headers["content-type"].startswith("text/plain")
    refused(api.get("/api-keys/oidc-sub", params={"organizationId": str(new_id())}), 404)


# --- API keys


def test_a_key_tells_who_made_it_and_its_role(api: TestClient, tenant: Tenant):
    body = {"name": "ci", "organizationId": str(tenant.id), "permissions": {"organizationRole": "User"}}
    made = api.post("/api-keys", json=body)
    assert made.status_code == 201, made.text
    listed = api.get("/api-keys", params={"organizationId": str(tenant.id)}).json()
    shown = {item["name"]: item for item in listed}["ci"]
    assert shown == {name: value for name, value in made.json().items() if name != "apiKeySecret"}
    assert shown["organizationRole"] == "User"
    assert shown["createdByUser"] == {
        "user_id": tenant.admin.audit_name,
        "name": "admin",
        "email": "",
        "app_metadata": {"isApiKey": True, "organizationId": str(tenant.id)},
    }
    first = next(item for item in listed if item["id"] == str(tenant.api_key.id))
    assert first["createdByUser"]["app_metadata"]["isApiKey"] is False
    assert first["lastUsedAt"] is not None


def test_roles_on_projects_that_are_not_there_are_refused_each_by_its_field(
    api: TestClient, world: World, tenant: Tenant
):
    own, foreign, gone = tenant.project(), world.tenant("other").project(), tenant.project("gone")
    assert api.delete(f"/projects/{gone.id}").status_code == 204
    roles = [{"projectId": str(item), "projectRole": "Viewer"} for item in (own.id, foreign.id, new_id(), gone.id)]
    permissions = {"organizationRole": "User", "projectsPermissions": roles}
    body = {"name": "ci", "organizationId": str(tenant.id), "permissions": permissions}
    answer = api.post("/api-keys", json=body)
    assert answer.status_code == 422
    wrong = [item["field"] for item in answer.json()["errors"]]
    assert wrong == [f"permissions.projectsPermissions.{place}.projectId" for place in (1, 2, 3)]
    permissions["projectsPermissions"] = [roles[0], roles[0]]
    assert "names a project twice" in refused(api.post("/api-keys", json=body), 422)


def test_custom_roles_are_refused_with_a_sentence(api: TestClient, tenant: Tenant):
    roles = [{"projectId": str(tenant.project().id), "projectRole": str(new_id())}]
    permissions = {"organizationRole": str(new_id()), "projectsPermissions": roles}
    body = {"name": "ci", "organizationId": str(tenant.id), "permissions": permissions}
    answer = api.post("/api-keys", json=body)
    assert refused(answer, 422).count("custom roles are not offered") == 2
    assert permissions["organizationRole"] not in answer.text


def test_the_last_admin_key_stays_and_any_other_may_delete_itself(api: TestClient, tenant: Tenant):
    own = f"/api-keys/{tenant.api_key.id}"
    key(tenant, OrganizationRole.USER)
    assert "last Admin key" in refused(api.delete(own), 409)
    other = key(tenant, OrganizationRole.ADMIN)
    assert api.delete(own).status_code == 204
    refused(api.get("/organizations"), 401)
    assert "last Admin key" in refused(api.delete(f"/api-keys/{other.key.id}", **auth(other)), 409)


def test_an_organization_has_a_thousand_keys_and_no_more(api: TestClient, tenant: Tenant, world: World):
    made = key(tenant, OrganizationRole.USER).key
    columns = {
        "organization_id": tenant.id,
        "name": "one of many",
        "secret_sha256": bytes(32),
        "organization_role": "User",
        "project_roles": {},
        "created_by": "test",
        "created_at": made.created_at,
    }
    with world.database.write() as tx:
        there = tx.execute(select(func.count()).select_from(api_keys)).scalar_one()
        rows = [{"id": new_id(), "api_key_id": f"k{number}", **columns} for number in range(MOST_KEYS - there)]
        tx.execute(api_keys.insert(), rows)
    body = {"name": "ci", "organizationId": str(tenant.id), "permissions": {"organizationRole": "User"}}
    assert "at most 1000 API keys" in refused(api.post("/api-keys", json=body), 409)
    assert api.delete(f"/api-keys/{made.id}").status_code == 204
    assert api.post("/api-keys", json=body).status_code == 201


# --- projects


def test_a_project_is_shown_with_its_maker_and_the_callers_role(api: TestClient, tenant: Tenant):
    parent = tenant.project("parent")
    body = {"name": "new", "organizationId": str(tenant.id), "tags": None, "parentProjectId": str(parent.id)}
    made = api.post("/projects", json=body)
    assert made.status_code == 201, made.text
    shown = made.json()
    assert shown["hierarchy"] == f"{parent.id}|{shown['id']}"
    assert (shown["tags"], shown["description"], shown["isArchived"]) == ([], "", False)
    assert shown["role"] == "Admin"
    assert shown["createdByUser"]["user_id"] == shown["createdBy"] == tenant.admin.audit_name
    got = api.get(f"/projects/{shown['id']}")
    assert (got.json(), got.headers["etag"]) == (shown, made.headers["etag"])
    roles = {parent.id: ProjectRole.VIEWER, ProjectId(UUID(shown["id"])): ProjectRole.PLANNER}
    planner = key(tenant, OrganizationRole.USER, roles)
    assert api.get(f"/projects/{shown['id']}", **auth(planner)).json()["role"] == "Planner"
    assert api.get(f"/projects/{parent.id}", **auth(planner)).json()["role"] == "Viewer"


def test_a_project_is_archived_and_nothing_is_made_below_it_until_that_is_taken_back(api: TestClient, tenant: Tenant):
    project = tenant.project("old")
    below = tenant.project("below", project)
    path, whole = f"/projects/{project.id}", {"name": "old", "description": "", "tags": []}
    assert api.put(path, json={**whole, "isArchived": True}).json()["isArchived"] is True
    assert api.put(path, json={**whole, "name": "older"}).json()["isArchived"] is True
    listed = api.get("/projects", params={"organizationId": str(tenant.id)}).json()
    assert {item["name"]: item["isArchived"] for item in listed} == {"older": True, "below": False}
    for parent in (project, below):
        body = {"name": "new", "organizationId": str(tenant.id), "parentProjectId": str(parent.id)}
        assert "archived" in refused(api.post("/projects", json=body), 409)
    assert "archived" in refused(api.post(f"/projects/{below.id}/move", json={"targetProjectId": None}), 409)
    assert api.put(path, json={**whole, "isArchived": False}).json()["isArchived"] is False
    assert api.post(f"/projects/{below.id}/move", json={"targetProjectId": None}).json()["parentProjectId"] is None
    with tenant.world.database.read() as tx:
        told = tx.execute(select(audit_events.c.action).where(audit_events.c.subject_id == str(project.id))).scalars()
        assert {"project.archived", "project.unarchived"} <= set(told)


def test_a_change_or_move_of_what_has_changed_since_is_refused(api: TestClient, tenant: Tenant):
    project, target = tenant.project(), tenant.project("target")
    path = f"/projects/{project.id}"
    seen = {"If-Match": api.get(path).headers["etag"]}
    assert api.put(path, json={"name": "new"}, headers=seen).status_code == 200
    refused(api.put(path, json={"name": "newer"}, headers=seen), 412)
    refused(api.post(f"{path}/move", json={"targetProjectId": str(target.id)}, headers=seen), 412)
    refused(api.delete(path, headers=seen), 412)
    refused(api.put("/policies", json={"projectId": str(project.id)}, headers=seen), 412)
    now = {"If-Match": api.get(path).headers["etag"]}
    moved = api.post(f"{path}/move", json={"targetProjectId": str(target.id)}, headers=now)
    assert (moved.status_code, moved.json()["hierarchy"]) == (200, f"{target.id}|{project.id}")
    assert moved.headers["etag"] != now["If-Match"]


def test_a_move_must_say_where_to(api: TestClient, tenant: Tenant):
    answer = api.post(f"/projects/{tenant.project().id}/move", json={})
    assert refused(answer, 422) == "targetProjectId: is required"


def test_a_project_with_sub_projects_or_credentials_is_not_deleted(api: TestClient, tenant: Tenant):
    root = tenant.project()
    leaf = tenant.project("leaf", root)
    credential = tenant.credential(leaf)
    assert "has sub-projects" in refused(api.delete(f"/projects/{root.id}"), 409)
    assert "credentials of its own" in refused(api.delete(f"/projects/{leaf.id}"), 409)
    assert api.delete(f"/credentials/{credential.id}").status_code == 204
    assert [api.delete(f"/projects/{item.id}").status_code for item in (leaf, root)] == [204, 204]
    refused(api.get(f"/projects/{root.id}"), 404)
    refused(api.delete(f"/projects/{root.id}"), 404)
    assert api.get("/projects", params={"organizationId": str(tenant.id)}).json() == []


def test_a_deleted_project_takes_its_variables_and_what_waits_along_and_lets_the_rest_end(
    api: TestClient, tenant: Tenant, world: World
):
    project, environment = tenant.somewhere_to_deploy()
    running = tenant.queue(environment)
    assert take(world.rules, tenant.runner()) is not None
    waiting = tenant.queue(environment)
    tenant.variable(VariableScope.PROJECT, project.id, "NAME", "value", is_sensitive=True)
    assert api.delete(f"/projects/{project.id}").status_code == 204
    with world.database.read() as tx:
        archived = environment_store.get_environment(tx, tenant.id, environment.id)
        assert archived is not None
        assert archived.is_archived
        states = [deployment_store.get_deployment(tx, tenant.id, item.id) for item in (running, waiting)]
        assert [item.status.value for item in states if item] == ["IN_PROGRESS", "CANCELLED"]
        assert tx.execute(select(variables.c.id).where(variables.c.scope_id == project.id)).all() == []


@pytest.mark.parametrize("as_admin", [True, False], ids=["an admin", "a key with roles"])
def test_five_thousand_projects_are_listed_page_by_page_with_as_many_queries_as_one(
    api: TestClient, tenant: Tenant, world: World, *, as_admin: bool
):
    top = tenant.project("top")
    many = 5_000
    with world.database.write() as tx:
        tx.execute(projects.insert(), [_row(tenant, top, number) for number in range(many)])
    caller = {} if as_admin else auth(key(tenant, OrganizationRole.USER, {top.id: ProjectRole.VIEWER}))
    seen: list[str] = []
    counts = set()
    api.get("/organizations", **caller)  # notes the use of the key, which is noted once a minute
    for offset in range(0, many + 1, 1000):
        query = {"organizationId": str(tenant.id), "limit": "1000", "offset": str(offset)}
        page, statements = counted(world, lambda query=query: api.get("/projects", params=query, **caller).json())
        seen += [item["id"] for item in page]
        counts.add(statements)
    assert len(seen) == many + 1
    assert seen == sorted(set(seen))
    assert len(counts) == 1
    whole, statements = counted(
        world, lambda: api.get("/projects", params={"organizationId": str(tenant.id)}, **caller).json()
    )
    assert [item["id"] for item in whole] == seen
    assert counts == {statements}


def counted(world: World, work: Any) -> tuple[Any, int]:
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(world.database.engine, "before_cursor_execute", note)
    try:
        return work(), sum(item.lstrip().upper().startswith("SELECT") for item in statements)
    finally:
        event.remove(world.database.engine, "before_cursor_execute", note)


def _row(tenant: Tenant, parent: Project, number: int) -> dict[str, Any]:
    project_id = new_id()
    return {
        "id": project_id,
        "organization_id": tenant.id,
        "parent_project_id": parent.id,
        "name": f"project {number}",
        "tags": [],
        "hierarchy": f"{parent.id}|{project_id}",
        "policies": {},
        "created_by": tenant.admin.audit_name,
        "created_at": parent.created_at,
        "updated_at": parent.updated_at,
    }


# --- project policies


def test_a_projects_policy_gives_back_what_it_was_sent(api: TestClient, tenant: Tenant):
    project = tenant.project()
    fresh = api.get("/policies", params={"projectId": str(project.id)}).json()
    assert (fresh["id"], fresh["maxTtl"], fresh["defaultTtl"]) == (str(project.id), "inherit", "inherit")
    assert (fresh["requiresApprovalDefault"], fresh["numberOfEnvironments"]) == (False, None)
    sent = {
        "projectId": str(project.id),
        "requiresApprovalDefault": True,
        "disableDestroyEnvironments": True,
        "maxTtl": "1-w",
        "defaultTtl": "1-d",
        "numberOfEnvironments": 3,
        "numberOfEnvironmentsTotal": 5,
        "includeCostEstimation": True,
        "skipApplyWhenPlanIsEmpty": True,
        "skipRedundantDeployments": True,
        "runPullRequestPlanDefault": True,
        "continuousDeploymentDefault": True,
        "forceRemoteBackend": True,
        "driftDetectionEnabled": True,
        "driftDetectionCron": "0 4 * * *",
        "autoDriftRemediation": "DISABLED",
        "vcsPrCommentsEnabledDefault": True,
        "outputsAsInputsEnabled": True,
    }
    answer = api.put("/policies", json=sent)
    assert answer.status_code == 200, answer.text
    assert answer.json().items() >= sent.items()
    assert answer.json()["updatedBy"] == tenant.admin.audit_name
    again = api.get("/policies", params={"projectId": str(project.id)})
    assert (again.json(), again.headers["etag"]) == (answer.json(), answer.headers["etag"])
    reset = api.put("/policies", json={"projectId": str(project.id), "requiresApprovalDefault": True}).json()
    assert (reset["maxTtl"], reset["numberOfEnvironments"], reset["forceRemoteBackend"]) == (None, None, False)


def test_a_projects_policy_is_checked_and_needs_its_permission(api: TestClient, tenant: Tenant):
    project = tenant.project()
    body = {"projectId": str(project.id), "maxTtl": "1-h", "defaultTtl": "2-h"}
    assert "must not be longer" in refused(api.put("/policies", json=body), 422)
    refused(api.put("/policies", json={"projectId": str(new_id())}), 404)
    deployer = auth(key(tenant, OrganizationRole.USER, {project.id: ProjectRole.DEPLOYER}))
    assert api.get("/policies", params={"projectId": str(project.id)}, **deployer).status_code == 200
    assert "EDIT_PROJECT_SETTINGS" in refused(
        api.put("/policies", json={"projectId": str(project.id)}, **deployer), 403
    )
