"""Which environments lose a credential when it is taken away from a project, on both databases."""

from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import Tenant, World
from runpass.ids import CredentialId, ProjectId
from runpass.protocol.credentials import CredentialKind, parse
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import delete_assignment
from runpass.server.credentials.what_breaks import Loss, environments_that_lose
from runpass.server.tenancy import environment_store, tree_store
from runpass.server.tenancy.model import Project

AWS_OIDC = CredentialKind.AWS_OIDC
AWS = parse(AWS_OIDC, {"roleArn": "arn:aws:iam::123456789012:role/deploy", "duration": 3600})


def loss(world: World, project: Project, credential: StoredCredential) -> Loss:
    with world.database.read() as tx:
        return environments_that_lose(tx, project, credential)


def names(found: Loss) -> list[str]:
    return [item.name for item in found.environments]


def test_they_are_those_of_the_project_and_below_as_far_as_nothing_nearer_takes_over(world: World, tenant: Tenant):
    top = tenant.project("top")
    middle, replaced = tenant.project("middle", top), tenant.project("replaced", top)
    for place in (top, middle, tenant.project("low", middle), replaced, tenant.project("under", replaced)):
        tenant.environment(place, None, f"in {place.name}")
    tenant.environment(tenant.project("elsewhere"), None, "in elsewhere")
    credential, nearer = tenant.credential(name="taken"), tenant.credential(name="nearer")
    tenant.assign(credential, top)
    tenant.assign(nearer, replaced)
    found = loss(world, top, credential)
    assert names(found) == ["in top", "in middle", "in low"]
    assert [item.project_name for item in found.environments] == ["top", "middle", "low"]
    assert (found.instead, found.is_complete) == ((), True)
    assert names(loss(world, replaced, nearer)) == ["in replaced", "in under"]


def test_what_takes_its_place_is_told_with_where_it_comes_from(world: World, tenant: Tenant):
    top = tenant.project("top")
    below = tenant.project("below", top)
    tenant.environment(below, None)
    above, credential, second = (tenant.credential(name=name) for name in ("above", "taken", "second"))
    tenant.assign(above, top)
    tenant.assign(credential, below)
    found = loss(world, below, credential)
    assert ([item.name for item in found.instead], found.instead_is_inherited) == (["above"], True)
    tenant.assign(second, below)
    found = loss(world, below, credential)
    assert ([item.name for item in found.instead], found.instead_is_inherited) == (["second"], False)
    assert names(found) == ["environment"]


def test_another_kind_takes_no_place_and_archived_and_deleted_ones_do_not_count(world: World, tenant: Tenant):
    top = tenant.project("top")
    below, gone = tenant.project("below", top), tenant.project("gone", top)
    archived = tenant.environment(below, None, "archived")
    tenant.environment(below, None, "kept")
    tenant.environment(gone, None, "in a deleted project")
    with world.database.write() as tx:
        environment_store.update_environment(tx, archived.id, {"is_archived": True}, world.clock.now())
        tree_store.delete_project(tx, gone, world.clock.now())
    vault = tenant.credential()
    other = tenant.credential_of(AWS, AWS_OIDC)
    tenant.assign(vault, top)
    tenant.assign(other, below)
    assert names(loss(world, top, vault)) == ["kept"]
    assert names(loss(world, below, other)) == ["kept"]


def test_what_counts_for_nobody_is_lost_by_nobody(world: World, tenant: Tenant):
    project, owner = tenant.project(), tenant.project("owner")
    tenant.environment(project, None)
    stray = tenant.credential(owner)
    tenant.assign(stray, project)
    assert names(loss(world, project, stray)) == []


def test_they_are_counted_up_to_a_limit(world: World, tenant: Tenant):
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    for number in range(3):
        tenant.environment(project, None, f"number {number}")
    with world.database.read() as tx:
        found = environments_that_lose(tx, project, credential, most=2)
    assert (names(found), found.is_complete) == (["number 0", "number 1"], False)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parents=st.lists(st.integers(-1, 4), min_size=2, max_size=5),
    assigned=st.sets(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=2, max_size=6),
)
def test_they_are_exactly_those_for_which_it_changes(world: World, parents: list[int], assigned: set[tuple[int, int]]):
    """Compared with taking each away and looking again at every project."""
    tenant = world.tenant(str(uuid4()))
    projects: list[Project] = []
    for index, parent in enumerate(parents):
        projects.append(tenant.project(f"{index}", projects[parent] if 0 <= parent < index else None))
        tenant.environment(projects[-1], None)
    known = [tenant.credential(name="one"), tenant.credential(name="two"), tenant.credential_of(AWS, AWS_OIDC)]
    for place, which in assigned:
        if place < len(projects):
            _compare(world, tenant, projects, (projects[place], known[which]))


def _compare(
    world: World,
    tenant: Tenant,
    projects: list[Project],
    pair: tuple[Project, StoredCredential],
) -> None:
    project, credential = pair
    tenant.assign(credential, project)
    before, found = _effective(world, projects), loss(world, project, credential)
    with world.database.write() as tx:
        delete_assignment(tx, credential.id, project.id)
    after = _effective(world, projects)
    tenant.assign(credential, project)
    changed = {place for place in before if before[place] != after[place]}
    assert {item.project_id for item in found.environments} == changed
    instead = {(item.id, item.kind) for item in found.instead}
    for place in changed:
        assert instead == {one for one in after[place] if one[1] is credential.kind}


def _effective(world: World, projects: list[Project]) -> dict[ProjectId, set[tuple[CredentialId, CredentialKind]]]:
    with world.database.read() as tx:
        return {one.id: {(item.id, item.kind) for item in credentials_of(tx, one.path)} for one in projects}
