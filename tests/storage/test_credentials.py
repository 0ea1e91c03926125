"""Credentials of every kind, their assignment and what a project gets of them, on both databases."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, select, update
from starlette.testclient import TestClient

from credential_values import CANARY, CLIENT, ROLE, VALUES, VAULT
from factories import Tenant, World
from management_api import admin_client
from runpass.ids import CredentialId, ProjectId, new_id
from runpass.protocol.credentials import COST_KINDS, CredentialKind, parse
from runpass.server.access.api_keys import KeyRequest, create_api_key
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.rules import unserved
from runpass.server.credentials.sealing import grants, unseal
from runpass.server.credentials.store import get_credential
from runpass.server.db.encryption import CorruptColumn
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.credentials import credential_assignments, credentials
from runpass.server.db.schema.tenancy import projects

SECRETS = (CANARY, CLIENT.key.splitlines()[1])
every_kind = pytest.mark.parametrize("kind", CredentialKind)


@pytest.fixture
def api(world: World, tenant: Tenant) -> Iterator[TestClient]:
    with admin_client(world, tenant) as client:
        yield client


def made(api: TestClient, tenant: Tenant, kind: CredentialKind, **changes: Any) -> dict[str, Any]:
    scope = {} if "projectId" in changes else {"organizationId": str(tenant.id)}
    body = {"name": "made", "type": kind.value, "value": VALUES[kind], **scope, **changes}
    answer = api.post("/credentials", json=body)
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["ETag"]}


def listed(api: TestClient, tenant: Tenant, **query: Any) -> list[dict[str, Any]]:
    answer = api.get("/credentials", params={"organizationId": str(tenant.id), **query})
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def as_project(tenant: Tenant, role: ProjectRole, project: Any) -> tuple[str, str]:
    with tenant.world.database.write() as tx:
        wanted = KeyRequest(tenant.id, "key", OrganizationRole.USER, {ProjectId(project.id): role})
        new = create_api_key(tx, wanted, by=tenant.admin.audit_name, clock=tenant.world.clock)
    return new.key.api_key_id, new.secret.reveal()


def details(world: World, action: str) -> list[dict[str, str]]:
    with world.database.read() as tx:
        query = select(audit_events.c.detail).where(audit_events.c.action == action).order_by(audit_events.c.id)
        return [dict(item) for item in tx.execute(query).scalars()]


# --- what is stored


@every_kind
def test_every_kind_is_stored_and_opens_again_and_is_never_given_back(api, world, tenant, kind):
    answer = made(api, tenant, kind)
    assert (answer["type"], answer["value"], answer["projectId"]) == (kind.value, None, None)
    with world.database.read() as tx:
        stored = get_credential(tx, tenant.id, CredentialId(UUID(answer["id"])))
        assert stored is not None
        assert unseal(world.cipher, stored) == parse(kind, VALUES[kind])
        assert not any(secret in repr(stored) for secret in SECRETS)
    assert not any(secret in json.dumps(listed(api, tenant)) for secret in SECRETS)


@every_kind
def test_no_secret_stands_in_clear_anywhere_in_the_database(api, world, tenant, kind):
    made(api, tenant, kind)
    with world.database.read() as tx:
        row = tx.execute(select(credentials)).one()
        assert (row.secret_sealed is not None) is any(secret in json.dumps(VALUES[kind]) for secret in SECRETS)
        content = [repr(item) for table in (credentials, audit_events) for item in tx.execute(select(table))]
    assert not any(secret in text for text in content for secret in SECRETS)
    if world.database.is_sqlite:
        file = world.database.engine.url.database
        raw = Path(file).read_bytes() + Path(f"{file}-wal").read_bytes()
        assert kind.value.encode() in raw
        assert not any(secret.encode() in raw for secret in SECRETS)


def test_a_secret_moved_to_another_credential_does_not_open(api, world, tenant):
    kind = CredentialKind.AZURE_CREDENTIALS
    first, second = (made(api, tenant, kind)["id"] for _ in range(2))
    with world.database.write() as tx:
        rows = {str(row.id): row for row in tx.execute(select(credentials))}
        moved = {"secret_sealed": rows[first].secret_sealed}
        tx.execute(update(credentials).where(credentials.c.id == rows[second].id).values(**moved))
        stored = get_credential(tx, tenant.id, rows[second].id)
        assert stored is not None
        with pytest.raises(CorruptColumn):
            unseal(world.cipher, stored)


@every_kind
def test_all_bad_fields_are_named_with_the_name_and_nothing_is_repeated(api, tenant, kind):
    value = {name: [CANARY] for name in VALUES[kind]}
    body = {"name": "", "type": kind.value, "value": value, "organizationId": str(tenant.id)}
    answer = api.post("/credentials", json=body)
    assert answer.status_code == 422
    fields = {item["field"] for item in answer.json()["errors"]}
    known = {field.alias for field in type(parse(kind, VALUES[kind])).model_fields.values()}
    assert fields == {"name", *(f"value.{name}" for name in known & set(VALUES[kind]))}
    assert CANARY not in answer.text


@pytest.mark.parametrize("value", [None, CANARY, 7, [CANARY]])
def test_a_value_that_is_no_object_is_refused(api, tenant, value):
    body = {"name": "n", "type": "AWS_OIDC", "value": value, "organizationId": str(tenant.id)}
    answer = api.post("/credentials", json=body)
    assert [(item["field"], item["message"]) for item in answer.json()["errors"]] == [("value", "must be an object")]
    assert CANARY not in answer.text


def test_an_unknown_type_is_refused_and_not_repeated(api, tenant):
    body = {"name": "n", "type": CANARY, "value": {}, "organizationId": str(tenant.id)}
    answer = api.post("/credentials", json=body)
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["errors"]] == ["type"]
    assert CANARY not in answer.text


# --- changing


def test_a_change_replaces_the_whole_value_and_takes_no_name(api, world, tenant):
    kind = CredentialKind.VAULT_OIDC
    before = made(api, tenant, kind)
    body = {"type": kind.value, "value": VAULT, "organizationId": str(new_id()), "name": "other"}
    answer = api.patch(f"/credentials/{before['id']}", json=body)
    assert (answer.status_code, answer.json()["name"]) == (200, "made")
    assert answer.json()["createdByUser"] == before["createdByUser"]
    assert answer.headers["ETag"] != before["etag"]
    with world.database.read() as tx:
        row = tx.execute(select(credentials)).one()
    assert row.secret_sealed is None
    assert "clientCertificate" not in row.value


def test_the_type_of_a_credential_stays(api, tenant):
    before = made(api, tenant, CredentialKind.K8S_EKS_AUTH)
    kind = CredentialKind.K8S_KUBECONFIG_FILE
    answer = api.patch(f"/credentials/{before['id']}", json={"type": kind.value, "value": VALUES[kind]})
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["errors"]] == ["type"]


def test_a_change_on_top_of_somebody_elses_is_refused(api, world, tenant):
    kind = CredentialKind.VAULT_OIDC
    before = made(api, tenant, kind)
    body = {"type": kind.value, "value": VAULT}
    path, old = f"/credentials/{before['id']}", {"If-Match": before["etag"]}
    assert api.patch(path, json=body, headers=old).status_code == 200
    assert api.patch(path, json=body, headers=old).status_code == 412
    assert len(details(world, "credential.changed")) == 1


# --- listing


def test_a_list_has_both_scopes_in_pages_and_asks_the_database_a_fixed_number_of_times(api, world, tenant):
    project = tenant.project()
    for kind in (CredentialKind.AZURE_CREDENTIALS, CredentialKind.VAULT_OIDC):
        made(api, tenant, kind)
    own = made(api, tenant, CredentialKind.AWS_OIDC, projectId=str(project.id))
    found = listed(api, tenant)
    assert [item["projectId"] for item in found] == [None, None, str(project.id)]
    assert listed(api, tenant, limit=1, offset=1) + listed(api, tenant, offset=2) == found[1:]
    asked: list[str] = []

    @event.listens_for(world.database.engine, "before_cursor_execute")
    def _note(_connection, _cursor, statement, *_):
        asked.append(statement)

    listed(api, tenant)
    before = len(asked)
    for _ in range(5):
        made(api, tenant, CredentialKind.AWS_OIDC, projectId=str(tenant.project().id))
    asked.clear()
    assert len(listed(api, tenant)) == 8
    assert len(asked) == before
    event.remove(world.database.engine, "before_cursor_execute", _note)
    assert own["id"] in {item["id"] for item in found}
    assert {item["createdByUser"]["user_id"] for item in found} == {own["createdBy"]}


@pytest.mark.parametrize("role", ProjectRole)
def test_a_list_shows_a_project_admin_what_is_at_and_below_its_project(api, tenant, role):
    parent = tenant.project()
    child, other = tenant.project("child", parent), tenant.project("other")
    seen = [tenant.credential(parent, "a"), tenant.credential(child, "b")]
    tenant.credential(other)
    tenant.credential()
    api.auth = as_project(tenant, role, parent)
    expected = [str(item.id) for item in seen] if role is ProjectRole.ADMIN else []
    assert [item["id"] for item in listed(api, tenant)] == expected
    assert [item["id"] for item in listed(api, tenant, limit=1)] == expected[:1]


# --- assignment


def assign(api: TestClient, credential: Any, project: Any) -> Any:
    return api.put(f"/credentials/deployment/{credential}/project/{project}")


def test_assigning_twice_gives_the_same_assignment_and_one_record(api, world, tenant):
    project, credential = tenant.project(), tenant.credential()
    first, second = (assign(api, credential.id, project.id) for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert first.json() | {"id": ""} == {"id": "", "credentialId": str(credential.id), "projectId": str(project.id)}
    assert len(details(world, "credential.assigned")) == 1


def test_callers_who_assign_at_once_all_get_the_one_assignment(api, world, tenant):
    project, credential = tenant.project(), tenant.credential()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: assign(api, credential.id, project.id), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(details(world, "credential.assigned")) == 1


def test_deleting_an_assigned_credential_takes_its_assignments_with_it(api, world, tenant):
    some, credential = [tenant.project(), tenant.project("other")], tenant.credential()
    for project in some:
        assign(api, credential.id, project.id)
    assert api.delete(f"/credentials/{credential.id}").status_code == 204
    assert [item["assignments"] for item in details(world, "credential.deleted")] == ["2"]
    for project in some:
        assert api.get(f"/credentials/deployment/project/{project.id}").json() == {"credentialIds": []}
    assert api.delete(f"/credentials/{credential.id}").status_code == 404


def test_assigning_while_it_is_deleted_leaves_nothing_dangling(api, world, tenant):
    project = tenant.project()
    statuses: set[int] = set()
    for _ in range(5):
        credential = tenant.credential()
        with ThreadPoolExecutor(4) as pool:
            assigning = [pool.submit(assign, api, credential.id, project.id) for _ in range(3)]
            deleting = pool.submit(api.delete, f"/credentials/{credential.id}")
        statuses |= {item.result().status_code for item in assigning}
        assert deleting.result().status_code == 204
    assert statuses <= {200, 404}
    with world.database.read() as tx:
        assert tx.execute(select(func.count()).select_from(credential_assignments)).scalar_one() == 0


def test_what_cannot_be_used_there_is_not_assigned(api, world, tenant):
    parent = tenant.project()
    child, other = tenant.project("child", parent), tenant.project("other")
    foreign = world.tenant("stranger")
    own = tenant.credential(child)
    for credential, project in (
        (own, parent),
        (own, other),
        (foreign.credential(), child),
        (tenant.credential(), foreign.project()),
    ):
        assert assign(api, credential.id, project.id).status_code == 404
    assert assign(api, own.id, child.id).status_code == 200
    with world.database.write() as tx:
        tx.execute(update(projects).where(projects.c.id == parent.id).values(is_archived=True))
    assert assign(api, tenant.credential().id, child.id).status_code == 409
    with world.database.write() as tx:
        tx.execute(update(projects).where(projects.c.id == other.id).values(deleted_at=world.clock.now()))
    assert assign(api, tenant.credential().id, other.id).status_code == 404


@pytest.mark.parametrize("kind", sorted(COST_KINDS))
def test_a_credential_for_costs_is_not_for_deployments(api, tenant, kind):
    answer = assign(api, made(api, tenant, kind)["id"], tenant.project().id)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "credentialId")


def test_assignments_of_a_deleted_project_are_an_empty_list_and_of_a_foreign_one_not_found(api, world, tenant):
    project, empty = tenant.project(), tenant.project("empty")
    tenant.assign(tenant.credential(), project)
    with world.database.write() as tx:
        tx.execute(update(projects).where(projects.c.id == project.id).values(deleted_at=world.clock.now()))
    for known in (project, empty):
        answer = api.get(f"/credentials/deployment/project/{known.id}")
        assert (answer.status_code, answer.json()) == (200, {"credentialIds": []})
    for unknown in (world.tenant("stranger").project().id, new_id()):
        assert api.get(f"/credentials/deployment/project/{unknown}").status_code == 404


def test_a_project_admin_may_take_an_organizations_credential_by_its_id_and_change_none(api, tenant):
    project, credential = tenant.project(), tenant.credential()
    api.auth = as_project(tenant, ProjectRole.ADMIN, project)
    assert assign(api, credential.id, project.id).status_code == 200
    body = {"type": "VAULT_OIDC", "value": VAULT}
    assert api.patch(f"/credentials/{credential.id}", json=body).status_code == 404


# --- what a project gets


def effective(world: World, project: Any) -> list[str]:
    with world.database.read() as tx:
        return sorted(item.name for item in credentials_of(tx, project.path))


def test_for_each_kind_the_nearest_level_wins_and_two_of_one_kind_both_count(world, tenant):
    root = tenant.project()
    middle = tenant.project("middle", root)
    leaf = tenant.project("leaf", middle)
    aws = parse(CredentialKind.AWS_OIDC, ROLE)
    tenant.assign(tenant.credential(name="vault of root"), root)
    tenant.assign(tenant.credential_of(aws, CredentialKind.AWS_OIDC, name="aws of root"), root)
    tenant.assign(tenant.credential(name="one"), middle)
    tenant.assign(tenant.credential(name="two"), middle)
    assert effective(world, root) == ["aws of root", "vault of root"]
    assert effective(world, leaf) == ["aws of root", "one", "two"]


def test_a_credential_outside_its_project_counts_for_nobody_and_is_not_replaced(world, tenant):
    parent = tenant.project()
    child = tenant.project("child", parent)
    elsewhere = tenant.project("elsewhere")
    tenant.assign(tenant.credential(name="inherited"), parent)
    tenant.assign(tenant.credential(elsewhere, name="stray"), child)
    assert effective(world, child) == []
    assert effective(world, parent) == ["inherited"]


def test_kinds_that_no_runner_serves_are_refused_by_name_and_not_handed_out(world, tenant):
    project = tenant.project()
    aws = parse(CredentialKind.AWS_OIDC, ROLE)
    names = ("second", "first")
    for name in names:
        tenant.assign(tenant.credential_of(aws, CredentialKind.AWS_OIDC, name=name), project)
    tenant.assign(tenant.credential(name="vault"), project)
    with world.database.read() as tx:
        found = credentials_of(tx, project.path)
    assert unserved(item for item in found if item.kind is CredentialKind.VAULT_OIDC) is None
    said = unserved(found)
    assert said is not None
    assert "no runner serves" in said
    assert "AWS_OIDC (first and second)" in said
    assert [grant.name for grant in grants(world.cipher, found)] == ["vault"]
