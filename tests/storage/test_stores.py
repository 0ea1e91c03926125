"""What is stored comes back as it was: one test for each room's store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import StatementError

from factories import MovingClock, Tenant, World
from runpass.ids import new_id
from runpass.protocol.reports import LogEvent, LogLevel, Step, StepStatus
from runpass.server.access import store as access_store
from runpass.server.access.api_keys import KeyRequest, create_api_key
from runpass.server.access.bearers import digest
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.audit import AuditEvent, record
from runpass.server.credentials import store as credential_store
from runpass.server.db.engine import Database
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.tenancy import projects
from runpass.server.deployments import lease_store, log_store
from runpass.server.deployments import store as deployment_store
from runpass.server.deployments.run_leases import take
from runpass.server.issuer import store as issuer_store
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.rings import open_rings
from runpass.server.runners import store as runner_store
from runpass.server.templates import store as template_store
from runpass.server.tenancy import environment_store, store
from runpass.server.tenancy.environment_store import Wanted as In
from runpass.server.tenancy.tree_store import delete_project
from runpass.server.variables import store as variable_store
from runpass.server.variables.model import Details, ValueSchema, VariableScope


def test_an_organization_is_found_by_id_and_by_name(tenant: Tenant, database: Database):
    with database.read() as tx:
        assert store.get_organization(tx, tenant.id) == tenant.organization
        assert store.find_organization(tx, "acme") == tenant.organization
        assert store.find_organization(tx, "Acme") is None


def test_an_organization_keeps_its_policies(tenant: Tenant, database: Database, clock: MovingClock):
    clock.advance(timedelta(minutes=1))
    with database.write() as tx:
        store.update_organization(
            tx, tenant.organization, {"enable_oidc": True, "policies": {"max_ttl": "1-h"}}, clock.now()
        )
    expected = replace(tenant.organization, enable_oidc=True, policies={"max_ttl": "1-h"}, updated_at=clock.now())
    with database.read() as tx:
        assert store.get_organization(tx, tenant.id) == expected


def test_a_project_comes_back_with_the_path_from_its_root(tenant: Tenant, database: Database):
    root = tenant.project("root")
    middle = tenant.project("middle", root)
    leaf = tenant.project("leaf", middle)
    with database.read() as tx:
        assert store.get_project(tx, tenant.id, leaf.id) == leaf
        assert store.list_projects(tx, tenant.id) == [root, middle, leaf]
    assert leaf.path == (root.id, middle.id, leaf.id)


def test_a_project_changes_and_goes(tenant: Tenant, database: Database, clock: MovingClock):
    project = tenant.project()
    with database.write() as tx:
        changed = store.change_project(tx, project, {"name": "renamed", "tags": []}, clock.now())
        assert changed == replace(project, name="renamed", tags=(), updated_at=changed.updated_at)
        assert store.get_project(tx, tenant.id, project.id) == changed
        delete_project(tx, changed, clock.now())
        assert store.get_project(tx, tenant.id, project.id) is None
        gone = store.get_project(tx, tenant.id, project.id, deleted=True)
        assert gone is not None
        assert (gone.path, gone.deleted_at) == (project.path, clock.now())


def test_an_environment_comes_back_and_changes(tenant: Tenant, database: Database, clock: MovingClock):
    project, environment = tenant.somewhere_to_deploy()
    with database.write() as tx:
        assert environment_store.get_environment(tx, tenant.id, environment.id) == environment
        environment_store.update_environment(tx, environment.id, {"is_archived": True}, clock.now())
        changed = replace(environment, is_archived=True, updated_at=environment.updated_at + timedelta(microseconds=1))
        assert environment_store.list_environments(tx, tenant.id, In(project.id), limit=10) == [changed]


def test_pages_of_environments_hold_only_those_of_the_projects_asked_for(tenant: Tenant, database: Database):
    seen, unseen = tenant.project("seen"), tenant.project("unseen")
    made = [tenant.environment(unseen if n % 2 == 0 else seen, None, f"e{n}") for n in range(6)]
    wanted = [item for item in made if item.project_id == seen.id]
    with database.read() as tx:
        first = environment_store.list_environments(tx, tenant.id, In(seen.id), limit=2)
        second = environment_store.list_environments(tx, tenant.id, In(seen.id), limit=2, offset=2)
        named = environment_store.list_environments(tx, tenant.id, In(seen.id, name="e3"), limit=2)
        nowhere = In(visible=projects.c.hierarchy == str(new_id()))
        none = environment_store.list_environments(tx, tenant.id, nowhere, limit=2)
    assert [*first, *second] == wanted
    assert [item.name for item in named] == ["e3"]
    assert none == []


def test_a_template_is_attached_once_and_detached_once(tenant: Tenant, database: Database):
    project, template = tenant.project(), tenant.template(commands=["echo 'é'", "true"])
    with database.write() as tx:
        template_store.attach(tx, template, project.id)
        attached = template_store.get_template(tx, tenant.id, template.id)
        assert attached == replace(template, project_ids=(project.id,))
        template_store.attach(tx, attached, project.id)
        assert template_store.list_templates(tx, tenant.id) == [attached]
        assert template_store.detach(tx, template.id, project.id)
        assert not template_store.detach(tx, template.id, project.id)
        assert template_store.list_templates(tx, tenant.id, "template") == [template]


def test_a_deleted_template_is_not_listed_but_still_answers(tenant: Tenant, database: Database, clock: MovingClock):
    template = tenant.template()
    with database.write() as tx:
        changed_at = template_store.change_template(tx, template, {"is_deleted": True}, clock.now())
        assert template_store.list_templates(tx, tenant.id) == []
        deleted = replace(template, is_deleted=True, updated_at=changed_at)
        assert template_store.get_template(tx, tenant.id, template.id) == deleted


def test_a_credential_comes_back_as_the_very_class_it_was_parsed_into(tenant: Tenant, database: Database):
    project = tenant.project()
    of_all, of_one = (
        tenant.credential(name="a"),
        tenant.credential(project, name="b", namespace="team"),
    )
    with database.read() as tx:
        assert credential_store.get_credential(tx, tenant.id, of_one.id) == of_one
        assert credential_store.list_credentials(tx, tenant.id) == [of_all, of_one]


def test_a_credential_goes_with_its_assignments(tenant: Tenant, database: Database):
    project, credential = tenant.project(), tenant.credential()
    assignment = tenant.assign(credential, project)
    with database.write() as tx:
        assert credential_store.get_assignment(tx, credential.id, project.id) == assignment
        assert credential_store.assigned_to(tx, [project.id]) == [(project.id, credential)]
        credential_store.delete_credential(tx, credential.id)
        assert credential_store.assigned_to(tx, [project.id]) == []


@pytest.mark.parametrize("is_sensitive", [True, False])
def test_a_variable_comes_back_with_its_value(tenant: Tenant, world: World, is_sensitive: bool):  # noqa: FBT001
    place = (VariableScope.GLOBAL, tenant.id)
    details = Details(description="d", is_readonly=True, regex=".*", value_schema=ValueSchema(type="string", enum=()))
    made = tenant.variable(*place, "NAME", "wert äöü", is_sensitive=is_sensitive, type=1, details=details)
    with world.database.read() as tx:
        assert variable_store.get_variable(tx, world.cipher, tenant.id, made.id) == made
        assert variable_store.list_variables(tx, world.cipher, tenant.id, [place]) == [made]


def test_a_variable_that_becomes_sensitive_leaves_no_clear_value(tenant: Tenant, world: World):
    made = tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "first")
    again = tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "second", is_sensitive=True)
    assert again.id == made.id
    with world.database.read() as tx:
        row = tx.execute(select(variable_store.variables).where(variable_store.variables.c.id == made.id)).one()
    assert row.value is None
    assert b"second" not in row.value_sealed


def test_an_api_key_is_found_with_the_digest_of_its_secret(tenant: Tenant, database: Database, clock: MovingClock):
    roles = {tenant.project().id: ProjectRole.DEPLOYER}
    with database.write() as tx:
        wanted = KeyRequest(tenant.id, "ci", OrganizationRole.USER, roles)
        made = create_api_key(tx, wanted, by="test", clock=clock)
        assert access_store.find_by_api_key_id(tx, made.key.api_key_id) == (made.key, digest(made.secret))
        access_store.touch_api_key(tx, made.key.id, clock.now())
        touched = replace(made.key, last_used_at=clock.now())
        assert access_store.list_api_keys(tx, tenant.id)[-1] == touched
        assert access_store.delete_api_key(tx, tenant.id, made.key.id)
        assert not access_store.delete_api_key(tx, tenant.id, made.key.id)
        assert access_store.find_by_api_key_id(tx, made.key.api_key_id) is None


def test_a_runner_is_found_by_its_key_until_it_is_revoked(tenant: Tenant, database: Database, clock: MovingClock):
    joined = tenant.join(capacity=3, pool="big")
    with database.write() as tx:
        assert runner_store.find_by_key(tx, digest(joined.key)) == joined.runner
        assert runner_store.list_runners(tx, tenant.id) == [joined.runner]
        assert runner_store.revoke_runner(tx, tenant.id, joined.runner.id, clock.now())
        assert runner_store.find_by_key(tx, digest(joined.key)) is None
        assert runner_store.list_runners(tx, tenant.id) == []
    assert (joined.runner.pool, joined.runner.capacity) == ("big", 3)


def test_a_deployment_comes_back_and_is_found_as_the_newest(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    first, second = tenant.queue(environment), tenant.queue(environment)
    with world.database.read() as tx:
        assert deployment_store.get_deployment(tx, tenant.id, first.id) == first
        assert deployment_store.list_deployments(tx, environment.id, limit=5) == [second, first]
        assert deployment_store.list_deployments(tx, environment.id, limit=1, offset=1) == [first]
        assert deployment_store.latest_deployments(tx, [environment.id]) == {environment.id: second}
        assert deployment_store.pools_with_work(tx) == {first.pool_id}


def test_a_deployment_behind_another_of_its_environment_wakes_nobody(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    first, _ = tenant.queue(environment), tenant.queue(environment)
    assert take(world.rules, tenant.runner()) is not None
    with world.database.read() as tx:
        assert deployment_store.pools_with_work(tx) == set()
    tenant.queue(tenant.somewhere_to_deploy()[1])
    with world.database.read() as tx:
        assert deployment_store.pools_with_work(tx) == {first.pool_id}


def test_a_run_lease_is_stored_without_its_secret(tenant: Tenant, world: World):
    tenant.queue(tenant.somewhere_to_deploy()[1])
    runner = tenant.runner()
    lease = take(world.rules, runner)
    assert lease is not None
    with world.database.read() as tx:
        stored = lease_store.get_lease(tx, lease.lease_id)
    assert stored is not None
    assert (stored.runner_id, stored.fencing_token, stored.tokens_minted) == (runner.id, 1, 0)
    assert stored.secret_sha256 == digest(lease.lease_secret)
    assert stored.expires_at == lease.expires_at == world.clock.now() + world.rules.lifetime


def test_repeating_a_report_changes_nothing(tenant: Tenant, world: World):
    deployment = tenant.queue(tenant.somewhere_to_deploy()[1])
    at = world.clock.now()
    running = Step(name="run", order=1, status=StepStatus.IN_PROGRESS, started_at=at)
    done = running.model_copy(update={"status": StepStatus.SUCCESS, "completed_at": at})
    events = [LogEvent(step="run", number=n, at=at, level=LogLevel.INFO, message=f"line {n} é") for n in (1, 2, 3)]
    for step in (running, done, running):
        with world.database.write() as tx:
            log_store.save_steps(tx, tenant.id, deployment.id, [step])
            log_store.save_events(tx, deployment.id, events)
    with world.database.read() as tx:
        (stored,) = log_store.list_steps(tx, deployment.id)
        assert (stored.name, stored.status, stored.completed_at) == ("run", StepStatus.SUCCESS, at)
        assert log_store.list_events(tx, deployment.id, "run", after=1, limit=1) == events[1:2]
        assert log_store.list_events(tx, deployment.id, "other", after=0, limit=9) == []
        assert log_store.last_number(tx, deployment.id, "run") == 3


def test_steps_that_nobody_will_report_on_any_more_are_ended(tenant: Tenant, world: World):
    deployment = tenant.queue(tenant.somewhere_to_deploy()[1])
    at = world.clock.now()
    steps = [
        Step(name="done", order=1, status=StepStatus.SUCCESS, started_at=at, completed_at=at),
        Step(name="open", order=2, status=StepStatus.IN_PROGRESS, started_at=at),
    ]
    with world.database.write() as tx:
        log_store.save_steps(tx, tenant.id, deployment.id, steps)
        log_store.end_open_steps(tx, deployment.id, at)
        done, ended = log_store.list_steps(tx, deployment.id)
    assert (done.status, ended.status, ended.completed_at) == (StepStatus.SUCCESS, StepStatus.FAIL, at)


def test_a_signing_key_comes_back_and_still_signs(world: World):
    made = new_key(world.clock.now())
    with world.database.write() as tx:
        issuer_store.insert_key(tx, world.cipher, made)
    (stored,) = open_rings(world.database, world.cipher, world.clock).shared.current.keys
    assert (stored.kid, stored.public_jwk, stored.created_at) == (made.kid, made.public_jwk, made.created_at)
    assert stored.sign(b"text") == made.sign(b"text")


def test_the_first_start_makes_a_signing_key_and_the_second_uses_it(world: World):
    first = open_rings(world.database, world.cipher, world.clock).shared
    second = open_rings(world.database, world.cipher, world.clock).shared
    assert first.signing.kid == second.signing.kid
    with world.database.read() as tx:
        (event,) = tx.execute(select(audit_events)).all()
    assert (event.action, event.subject_id, event.organization_id) == ("signing_key.created", first.signing.kid, None)


def test_an_audit_event_comes_back(tenant: Tenant, database: Database, clock: MovingClock):
    with database.write() as tx:
        record(tx, AuditEvent(clock.now(), "who", "noun.verb", "noun", "id", tenant.id, {"name": "é"}))
    with database.read() as tx:
        row = tx.execute(select(audit_events).where(audit_events.c.action == "noun.verb")).one()
    assert (row.at, row.actor, row.subject_kind, row.subject_id) == (clock.now(), "who", "noun", "id")
    assert (row.organization_id, row.detail) == (tenant.id, {"name": "é"})


def test_moments_come_back_in_utc_to_the_microsecond(tenant: Tenant, database: Database):
    tokyo = datetime(2026, 1, 2, 3, 4, 5, 123456, timezone(timedelta(hours=9)))
    with database.write() as tx:
        record(tx, AuditEvent(tokyo, "who", "noun.verb", "noun", "id"))
    with database.read() as tx:
        stored = tx.execute(select(audit_events.c.at).where(audit_events.c.action == "noun.verb")).scalar_one()
    assert stored == tokyo
    assert stored.tzinfo is UTC


def test_a_moment_without_a_zone_is_not_stored(database: Database):
    naive = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 -- that is the point
    with pytest.raises(StatementError, match="without a time zone"), database.write() as tx:
        record(tx, AuditEvent(naive, "who", "noun.verb", "noun", "id"))


def test_one_tenants_store_never_gives_what_is_anothers(world: World):
    ours, theirs = world.tenant("ours"), world.tenant("theirs")
    project, environment = theirs.somewhere_to_deploy()
    credential, deployment = theirs.credential(), theirs.queue(environment)
    variable = theirs.variable(VariableScope.GLOBAL, theirs.id, "NAME", "value")
    assert environment.template_id is not None
    with world.database.read() as tx:
        found = [
            store.get_project(tx, ours.id, project.id),
            environment_store.get_environment(tx, ours.id, environment.id),
            template_store.get_template(tx, ours.id, environment.template_id),
            credential_store.get_credential(tx, ours.id, credential.id),
            deployment_store.get_deployment(tx, ours.id, deployment.id),
            variable_store.get_variable(tx, world.cipher, ours.id, variable.id),
        ]
        lists = [
            store.list_projects(tx, ours.id),
            environment_store.list_environments(tx, ours.id, In(project.id), limit=9),
            template_store.list_templates(tx, ours.id),
            credential_store.list_credentials(tx, ours.id),
            runner_store.list_runners(tx, ours.id),
            variable_store.list_variables(tx, world.cipher, ours.id, [(VariableScope.GLOBAL, theirs.id)]),
        ]
    assert found == [None] * 6
    assert lists == [[]] * 6


def test_a_reading_transaction_sees_one_state_while_others_write(tenant: Tenant, database: Database):
    with database.read() as reading:
        before = len(store.list_projects(reading, tenant.id))
        tenant.project()
        assert len(store.list_projects(reading, tenant.id)) == before
    with database.read() as reading:
        assert len(store.list_projects(reading, tenant.id)) == before + 1
