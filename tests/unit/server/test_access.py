"""Roles, permissions, and who may do what where."""

import base64

import pytest

from runpass.errors import Forbidden, NotFound, Unauthenticated
from runpass.ids import ApiKeyId, OrganizationId, ProjectId, new_id
from runpass.secret import Secret
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.api_keys import _basic
from runpass.server.access.bearers import Bearer, digest, matches, new_bearer
from runpass.server.access.permissions import (
    ORGANIZATION_PERMISSIONS,
    PROJECT_PERMISSIONS,
    OrganizationRole,
    Permission,
    ProjectRole,
)

ORGANIZATION, OTHER = OrganizationId(new_id()), OrganizationId(new_id())
ROOT, MIDDLE, LEAF = (ProjectId(new_id()) for _ in range(3))
PATH = ScopePath(ORGANIZATION, (ROOT, MIDDLE, LEAF))

EXPECTED = {
    # permission: organization Admin, User; project Admin, Deployer, Planner, Viewer
    Permission.VIEW_ORGANIZATION: "Au ----",
    Permission.EDIT_ORGANIZATION_SETTINGS: "A- ----",
    Permission.VIEW_AUDIT: "A- ----",
    Permission.VIEW_TOKEN_ACCESSORS: "A- ----",
    Permission.MANAGE_API_KEYS: "A- ----",
    Permission.MANAGE_PEOPLE: "A- ----",
    Permission.MANAGE_RUNNERS: "A- ----",
    Permission.MANAGE_RELYING_PARTIES: "A- ----",
    Permission.VIEW_TEMPLATES: "Au ----",
    Permission.MANAGE_TEMPLATES: "A- ----",
    Permission.CREATE_PROJECT: "A- a---",
    Permission.VIEW_PROJECT: "A- adpv",
    Permission.EDIT_PROJECT_SETTINGS: "A- a---",
    Permission.VIEW_CREDENTIALS: "A- a---",
    Permission.MANAGE_CREDENTIALS: "A- a---",
    Permission.VIEW_TOKEN_ACCESSORS: "A- ----",
    Permission.EDIT_ENVIRONMENT_SETTINGS: "A- ad--",
    Permission.ARCHIVE_ENVIRONMENT: "A- a---",
    Permission.DEPLOY_CUSTOM_REVISION: "A- ad--",
    Permission.RUN_PLAN: "A- adp-",
    Permission.RUN_APPLY: "A- ad--",
    Permission.RUN_TASK: "A- ----",
    Permission.ABORT_DEPLOYMENT: "A- ad--",
}


def actor(role: OrganizationRole = OrganizationRole.USER, **projects: ProjectRole) -> Actor:
    places = {"root": ROOT, "middle": MIDDLE, "leaf": LEAF}
    roles = {places[name]: role for name, role in projects.items()}
    return Actor(ApiKeyId(new_id()), "key", ORGANIZATION, role, roles)


def test_the_table_of_permissions_is_exactly_this():
    found = {}
    for permission in Permission:
        organization = [permission in ORGANIZATION_PERMISSIONS[role] for role in OrganizationRole]
        project = [permission in PROJECT_PERMISSIONS[role] for role in ProjectRole]
        shown = ["".join(s if has else "-" for s, has in zip("Au", organization, strict=True))]
        shown.append("".join(s if has else "-" for s, has in zip("adpv", project, strict=True)))
        found[permission] = " ".join(shown)
    assert found == EXPECTED


def test_an_admin_of_the_organization_may_do_everything_in_it():
    for permission in Permission:
        assert actor(OrganizationRole.ADMIN).may(permission, PATH)


def test_nobody_may_do_anything_in_another_organization():
    for permission in Permission:
        for project in ((), (ROOT,)):
            admin = actor(OrganizationRole.ADMIN, root=ProjectRole.ADMIN)
            assert not admin.may(permission, ScopePath(OTHER, project))
            with pytest.raises(NotFound):
                admin.require(permission, ScopePath(OTHER, project))


def test_a_role_on_a_project_counts_below_it_and_not_above():
    middle = actor(middle=ProjectRole.DEPLOYER)
    assert middle.may(Permission.RUN_APPLY, PATH)
    assert middle.may(Permission.RUN_APPLY, ScopePath(ORGANIZATION, (ROOT, MIDDLE)))
    assert not middle.may(Permission.RUN_APPLY, ScopePath(ORGANIZATION, (ROOT,)))
    assert not middle.may(Permission.RUN_APPLY, ScopePath(ORGANIZATION))


def test_of_several_roles_all_count():
    both = actor(root=ProjectRole.DEPLOYER, leaf=ProjectRole.VIEWER)
    assert both.may(Permission.RUN_APPLY, PATH)
    assert not actor(leaf=ProjectRole.VIEWER).may(Permission.RUN_APPLY, PATH)


def test_the_strongest_role_at_a_place_is_shown():
    both = actor(root=ProjectRole.PLANNER, leaf=ProjectRole.DEPLOYER)
    assert both.role_at(PATH) is ProjectRole.DEPLOYER
    assert both.role_at(ScopePath(ORGANIZATION, (ROOT,))) is ProjectRole.PLANNER
    assert both.role_at(ScopePath(ORGANIZATION)) is None
    assert actor(OrganizationRole.ADMIN).role_at(PATH) is ProjectRole.ADMIN
    assert actor(OrganizationRole.ADMIN).role_at(ScopePath(OrganizationId(new_id()), PATH.project_ids)) is None


def test_the_places_of_a_permission_are_those_whose_role_grants_it():
    both = actor(root=ProjectRole.VIEWER, leaf=ProjectRole.DEPLOYER)
    assert both.projects_with(Permission.VIEW_PROJECT) == set(both.project_roles)
    assert both.projects_with(Permission.RUN_APPLY) == {PATH.project_ids[-1]}
    assert both.projects_with(Permission.VIEW_AUDIT) == set()
    assert actor(OrganizationRole.ADMIN).projects_with(Permission.VIEW_PROJECT) is None


def test_who_may_only_look_is_told_which_permission_is_missing():
    with pytest.raises(Forbidden, match="this needs the permission RUN_APPLY"):
        actor(leaf=ProjectRole.VIEWER).require(Permission.RUN_APPLY, PATH)


def test_a_bearer_is_random_and_is_stored_as_a_digest():
    one, other = new_bearer(Bearer.API_KEY), new_bearer(Bearer.API_KEY)
    assert one != other
    assert one.reveal().startswith("rps_")
    assert len(base64.urlsafe_b64decode(one.reveal().partition("_")[2] + "=")) == 32
    assert len(digest(one)) == 32
    assert one.reveal().encode() not in digest(one)


def test_a_bearer_matches_only_itself():
    bearer = new_bearer(Bearer.API_KEY)
    stored = digest(bearer)
    assert matches(bearer, stored)
    assert matches(Secret(bearer.reveal()), stored)
    for wrong in (new_bearer(Bearer.API_KEY), Secret(""), Secret(bearer.reveal()[:-1]), Secret(bearer.reveal() + "x")):
        assert not matches(wrong, stored)
    assert not matches(bearer, b"")


def test_basic_takes_everything_after_the_first_colon_as_the_secret():
    header = "Basic " + base64.b64encode("rpk_1:se:cret é".encode()).decode()
    user, secret = _basic(header)
    assert (user, secret.reveal()) == ("rpk_1", "se:cret é")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "Basic !!!",
        "Basic é",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + base64.b64encode(b"nul\x00:x").decode(),
        "Basic " + base64.b64encode(b"x:y").decode()[:-1],
    ],
)
def test_whatever_is_no_basic_header_is_nobody(header: str):
    with pytest.raises(Unauthenticated) as error:
        _basic(header)
    assert header.partition(" ")[2] not in error.value.message or not header.partition(" ")[2]
