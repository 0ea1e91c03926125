"""Moving out from under a policy: only whoever may change it."""

from typing import Any

import pytest

from factories import Tenant
from management_api import ManagementApi
from runpass.ids import ProjectId
from runpass.server.access.permissions import ProjectRole
from runpass.server.tenancy.model import Project

ADMIN, DEPLOYER = ProjectRole.ADMIN, ProjectRole.DEPLOYER


@pytest.fixture(params=[{"requiresApprovalDefault": True}, {"disableDestroyEnvironments": True}, {"maxTtl": "1-d"}])
def strict(request: pytest.FixtureRequest, api: ManagementApi, tenant: Tenant) -> Project:
    """A project with one policy."""
    project = tenant.project("strict")
    nothing = {"maxTtl": "inherit", "defaultTtl": "inherit"}
    api.call("PUT", "/policies", {"projectId": str(project.id), **nothing, **request.param})
    return project


def moves(
    api: ManagementApi, tenant: Tenant, roles: dict[ProjectId, ProjectRole], path: str, body: dict[str, Any]
) -> bool:
    """Whether a key with these roles may move it so."""
    caller = api.of(tenant, roles)
    answer = caller.client.post(f"{path}/move", json=body, auth=caller.auth)
    assert answer.status_code in {200, 403}, answer.text
    return bool(answer.status_code == 200)


def test_an_environment_leaves_a_policy_only_with_somebody_who_may_change_it(
    api: ManagementApi, tenant: Tenant, strict: Project
):
    free, below = tenant.project("free"), tenant.project("below", strict)
    template = tenant.template(strict, free)
    path = f"/environments/{tenant.environment(strict, template).id}"
    api.call("PUT", f"{path}/ttl", {"type": "HOURS", "value": "1"})
    inside, outside = {"projectId": str(below.id)}, {"projectId": str(free.id)}
    assert not moves(api, tenant, {strict.id: DEPLOYER, free.id: ADMIN}, path, outside)
    assert moves(api, tenant, {strict.id: DEPLOYER}, path, inside)
    assert not moves(api, tenant, {strict.id: DEPLOYER, below.id: ADMIN, free.id: ADMIN}, path, outside)
    assert moves(api, tenant, {strict.id: ADMIN, free.id: DEPLOYER}, path, outside)


def test_a_project_leaves_a_policy_above_it_only_with_somebody_who_may_change_that(
    api: ManagementApi, tenant: Tenant, strict: Project
):
    free, moved = tenant.project("free"), tenant.project("moved", strict)
    path, body = f"/projects/{moved.id}", {"targetProjectId": str(free.id)}
    assert not moves(api, tenant, {moved.id: ADMIN, free.id: ADMIN}, path, body)
    assert moves(api, tenant, {strict.id: ADMIN, free.id: ADMIN}, path, body)


def test_a_move_to_where_the_policy_is_as_strict_is_free(api: ManagementApi, tenant: Tenant):
    places = [tenant.project(name) for name in ("one", "two")]
    for place in places:
        api.call("PUT", "/policies", {"projectId": str(place.id), "requiresApprovalDefault": True})
    one, two = places
    moved = tenant.project("moved", one)
    path, body = f"/projects/{moved.id}", {"targetProjectId": str(two.id)}
    assert moves(api, tenant, {moved.id: ADMIN, two.id: ADMIN}, path, body)
