"""The tree of projects: moves, limits, what a deletion leaves behind, and two who do such things at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import select

from factories import Tenant, World
from runpass.errors import Conflict, Forbidden, InvalidInput, NotFound, RunpassError
from runpass.ids import ApiKeyId, EnvironmentId, ProjectId, new_id
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import OrganizationRole, Permission, ProjectRole
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.credentials import credentials
from runpass.server.db.schema.tenancy import environments, projects
from runpass.server.environments.project_end import check_deletable
from runpass.server.tenancy import environment_store, moving, store, tree_store
from runpass.server.tenancy.lookup import environment_for, open_project_for, project_for
from runpass.server.tenancy.model import Environment, EnvironmentStatus, Project
from runpass.server.tenancy.visibility import visible_to


def move(world: World, actor: Actor, moved: UUID, target: UUID | None) -> Project:
    with world.database.write() as tx:
        tree_store.lock_tree(tx, actor.organization_id)
        project = project_for(tx, actor, moved, Permission.EDIT_PROJECT_SETTINGS)
        return moving.move(tx, actor, project, target, world.clock.now())


def now_at(tenant: Tenant, project: Project) -> Project:
    with tenant.world.database.read() as tx:
        found = store.get_project(tx, tenant.id, project.id)
    assert found is not None
    return found


def chain(tenant: Tenant, length: int, parent: Project | None = None) -> list[Project]:
    made: list[Project] = []
    for number in range(length):
        parent = tenant.project(f"level {number}", parent)
        made.append(parent)
    return made


def with_roles(tenant: Tenant, roles: dict[ProjectId, ProjectRole]) -> Actor:
    return Actor(ApiKeyId(new_id()), "key", tenant.id, OrganizationRole.USER, roles)


def test_a_project_moves_with_all_below_it(tenant: Tenant, world: World):
    one, two = tenant.project("one"), tenant.project("two")
    top, middle, leaf = chain(tenant, 3, one)
    beside = tenant.project("beside", one)
    moved = move(world, tenant.admin, top.id, two.id)
    assert (moved.path, moved.parent_project_id) == ((two.id, top.id), two.id)
    assert moved.updated_at > top.updated_at
    assert now_at(tenant, middle).path == (two.id, top.id, middle.id)
    assert now_at(tenant, leaf).path == (two.id, top.id, middle.id, leaf.id)
    assert now_at(tenant, leaf).parent_project_id == middle.id
    assert [now_at(tenant, item) for item in (one, two, beside)] == [one, two, beside]


def test_a_project_moves_to_the_root_and_back(tenant: Tenant, world: World):
    root, middle, leaf = chain(tenant, 3)
    moved = move(world, tenant.admin, middle.id, None)
    assert (moved.path, moved.parent_project_id) == ((middle.id,), None)
    assert now_at(tenant, leaf).path == (middle.id, leaf.id)
    move(world, tenant.admin, middle.id, root.id)
    assert now_at(tenant, leaf).path == leaf.path


def test_a_move_is_audited_with_both_parents_and_one_to_where_it_stands_is_none(tenant: Tenant, world: World):
    one, two = tenant.project("one"), tenant.project("two")
    below = tenant.project("below", one)
    assert move(world, tenant.admin, below.id, one.id) == below
    move(world, tenant.admin, below.id, two.id)
    with world.database.read() as tx:
        told = tx.execute(select(audit_events.c.detail).where(audit_events.c.action == "project.moved")).scalars().all()
    assert told == [{"fromProjectId": str(one.id), "toProjectId": str(two.id)}]


def test_a_project_never_stands_below_itself(tenant: Tenant, world: World):
    root, middle, leaf = chain(tenant, 3)
    for target in (root, middle, leaf):
        with pytest.raises(InvalidInput, match="targetProjectId: a project cannot stand below itself"):
            move(world, tenant.admin, root.id, target.id)


def test_a_path_has_32_levels_and_no_more(tenant: Tenant, world: World):
    deep = chain(tenant, 31)
    assert len(now_at(tenant, deep[-1]).path) == 31
    pair = chain(tenant, 2)
    move(world, tenant.admin, pair[1].id, deep[-1].id)
    assert len(now_at(tenant, pair[1]).path) == 32
    move(world, tenant.admin, pair[1].id, pair[0].id)
    with pytest.raises(InvalidInput, match="at most 32 levels deep"):
        move(world, tenant.admin, pair[0].id, deep[-1].id)
    with pytest.raises(InvalidInput, match="parentProjectId: projects stand at most 32 levels deep"):
        moving.check_depth("parentProjectId", now_at(tenant, chain(tenant, 1, deep[-1])[0]), 1)


def test_a_move_needs_rights_at_both_ends(tenant: Tenant, world: World):
    project, target = tenant.project("project"), tenant.project("target")
    admin, viewer = ProjectRole.ADMIN, ProjectRole.VIEWER
    for roles, error in (
        ({project.id: viewer, target.id: admin}, Forbidden),
        ({project.id: admin, target.id: viewer}, Forbidden),
        ({project.id: admin}, NotFound),
        ({target.id: admin}, NotFound),
    ):
        with pytest.raises(error):
            move(world, with_roles(tenant, roles), project.id, target.id)
    both = with_roles(tenant, {project.id: admin, target.id: admin})
    with pytest.raises(Forbidden):
        move(world, both, project.id, None)
    assert move(world, both, project.id, target.id).parent_project_id == target.id


def test_a_foreign_or_deleted_target_is_as_unknown_as_one_that_never_was(tenant: Tenant, world: World):
    project, gone = tenant.project(), tenant.project("gone")
    foreign = world.tenant("other").project()
    with world.database.write() as tx:
        tree_store.delete_project(tx, gone, world.clock.now())
    for target in (foreign.id, gone.id, new_id()):
        with pytest.raises(NotFound, match="there is no such project"):
            move(world, tenant.admin, project.id, target)


def test_nothing_moves_into_out_of_or_with_what_is_archived(tenant: Tenant, world: World):
    archived, free = tenant.project("archived"), tenant.project("free")
    below = tenant.project("below", archived)
    with world.database.write() as tx:
        store.change_project(tx, archived, {"is_archived": True}, world.clock.now())
    for moved, target in ((free.id, archived.id), (free.id, below.id), (below.id, free.id), (archived.id, free.id)):
        with pytest.raises(Conflict, match="archived"):
            move(world, tenant.admin, moved, target)
    with pytest.raises(Conflict, match="archived"), world.database.write() as tx:
        open_project_for(tx, tenant.admin, below.id, Permission.CREATE_PROJECT)


def test_no_assignment_loses_the_credential_of_a_project_above_it(tenant: Tenant, world: World):
    root, middle, leaf = chain(tenant, 3)
    inside, outside = tenant.project("inside", root), tenant.project("outside")
    tenant.assign(tenant.credential(root), leaf)
    tenant.assign(tenant.credential(middle, name="own"), leaf)
    with pytest.raises(Conflict, match="would no longer stand below"):
        move(world, tenant.admin, middle.id, outside.id)
    with pytest.raises(Conflict, match="would no longer stand below"):
        move(world, tenant.admin, middle.id, None)
    move(world, tenant.admin, middle.id, inside.id)
    assert now_at(tenant, leaf).path == (root.id, inside.id, middle.id, leaf.id)


def test_a_deleted_project_is_found_only_for_what_was_in_it(tenant: Tenant, world: World):
    root, leaf = chain(tenant, 2)
    environment = tenant.environment(leaf, None)
    with world.database.write() as tx:
        tree_store.delete_project(tx, leaf, world.clock.now())
        assert not tree_store.has_sub_projects(tx, root.id)
    with world.database.read() as tx:
        assert store.get_project(tx, tenant.id, leaf.id) is None
        assert store.list_projects(tx, tenant.id) == [root]
        found, project = environment_for(tx, tenant.admin, environment.id, Permission.VIEW_PROJECT)
        assert (found.is_archived, project.path) == (True, leaf.path)
        with pytest.raises(Conflict, match="project was deleted"):
            environment_for(tx, tenant.admin, environment.id, Permission.RUN_APPLY)


def test_a_key_sees_the_projects_at_and_below_those_it_has_a_role_on(tenant: Tenant, world: World):
    one, two = chain(tenant, 3), chain(tenant, 3)
    tenant.project("alone")
    actor = with_roles(tenant, {item.id: ProjectRole.VIEWER for item in (one[1], one[2], two[0])})
    foreign = world.tenant("other").project()
    nobody = with_roles(tenant, {foreign.id: ProjectRole.ADMIN})
    with world.database.read() as tx:
        assert store.list_projects(tx, tenant.id, visible_to(tx, actor)) == sorted([*one[1:], *two], key=lambda p: p.id)
        assert store.list_projects(tx, tenant.id, visible_to(tx, actor), limit=2, offset=1) == [one[2], two[0]]
        assert store.list_projects(tx, tenant.id, visible_to(tx, nobody)) == []
        assert len(store.list_projects(tx, tenant.id, visible_to(tx, tenant.admin))) == 7
        assert store.list_projects(tx, tenant.id, visible_to(tx, actor, Permission.CREATE_PROJECT)) == []


def at_once(*works: Callable[[], object]) -> list[object]:
    """Do all this at once; give what came of each, an error of ours included."""
    start = Barrier(len(works))

    def do(work: Callable[[], object]) -> object:
        start.wait(10)
        try:
            return work()
        except RunpassError as error:
            return error

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(do, works))


def test_two_opposite_moves_at_once_never_make_a_circle(tenant: Tenant, world: World):
    for _ in range(8):
        one, two = tenant.project("one"), tenant.project("two")
        came = at_once(
            lambda one=one, two=two: move(world, tenant.admin, one.id, two.id),
            lambda one=one, two=two: move(world, tenant.admin, two.id, one.id),
        )
        assert {type(item) for item in came} == {InvalidInput, Project}
        paths = {now_at(tenant, one).path, now_at(tenant, two).path}
        assert paths in ({(one.id,), (one.id, two.id)}, {(two.id,), (two.id, one.id)})


def delete(world: World, actor: Actor, project_id: UUID) -> None:
    with world.database.write() as tx:
        tree_store.lock_tree(tx, actor.organization_id)
        project = project_for(tx, actor, project_id, Permission.EDIT_PROJECT_SETTINGS)
        tree_store.hold_subtree(tx, project)
        check_deletable(tx, project)
        tree_store.delete_project(tx, project, world.clock.now())


def make_below(tenant: Tenant, parent_id: UUID) -> None:
    with tenant.world.database.write() as tx:
        tree_store.lock_tree(tx, tenant.id)
        parent = open_project_for(tx, tenant.admin, parent_id, Permission.CREATE_PROJECT)
        store.insert_project(tx, new_project(parent))


def make_environment(tenant: Tenant, project_id: UUID) -> None:
    with tenant.world.database.write() as tx:
        project = open_project_for(tx, tenant.admin, project_id, Permission.RUN_PLAN)
        environment_store.insert_environment(tx, new_environment(tenant, project))


def make_credential(tenant: Tenant, project_id: UUID) -> None:
    with tenant.world.database.write() as tx:
        project = open_project_for(tx, tenant.admin, project_id, Permission.MANAGE_CREDENTIALS)
        tx.execute(credentials.insert().values(**new_credential(tenant, project)))


@pytest.mark.parametrize("make", [make_below, make_environment, make_credential])
def test_nothing_is_left_alive_in_a_project_that_is_deleted_at_the_same_moment(
    tenant: Tenant, world: World, make: Callable[[Tenant, UUID], None]
):
    for _ in range(8):
        project = tenant.project()
        came = at_once(lambda p=project: delete(world, tenant.admin, p.id), lambda p=project: make(tenant, p.id))
        assert all(item is None or isinstance(item, Conflict | NotFound) for item in came), came
    with world.database.read() as tx:
        dead = select(projects.c.id).where(projects.c.deleted_at.is_not(None)).scalar_subquery()
        alive = [
            select(projects.c.id).where(projects.c.parent_project_id.in_(dead), projects.c.deleted_at.is_(None)),
            select(environments.c.id).where(environments.c.project_id.in_(dead), environments.c.is_archived.is_(False)),
            select(credentials.c.id).where(credentials.c.project_id.in_(dead)),
        ]
        assert [tx.execute(query).all() for query in alive] == [[], [], []]


def test_two_deletions_at_once_are_one(tenant: Tenant, world: World):
    project = tenant.project()
    came = at_once(*[lambda: delete(world, tenant.admin, project.id)] * 3)
    assert sorted(str(type(item).__name__) for item in came) == ["NoneType", "NotFound", "NotFound"]


def new_project(parent: Project) -> Project:
    project_id = ProjectId(new_id())
    return replace(parent, id=project_id, parent_project_id=parent.id, path=(*parent.path, project_id))


def new_environment(tenant: Tenant, project: Project) -> Environment:
    now = tenant.world.clock.now()
    return Environment(
        id=EnvironmentId(new_id()),
        organization_id=tenant.id,
        project_id=project.id,
        template_id=None,
        name="new",
        workspace_name="new",
        status=EnvironmentStatus.CREATED,
        is_archived=False,
        settings={},
        created_by="test",
        created_at=now,
        updated_at=now,
    )


def new_credential(tenant: Tenant, project: Project) -> dict[str, object]:
    now = tenant.world.clock.now()
    value = {"organization_id": tenant.id, "project_id": project.id, "name": "new", "type": "VAULT_OIDC", "value": {}}
    return {"id": new_id(), **value, "created_by": "test", "created_at": now, "updated_at": now}
