"""A change and its audit record are one: neither can be there without the other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError

from factories import LEASE, Tenant, World, holder
from runpass.errors import RunpassError
from runpass.protocol.identity import ForCredential
from runpass.protocol.registration import Isolation, Registration
from runpass.protocol.reports import Finish, Outcome
from runpass.server.access.api_keys import KeyRequest, create_api_key
from runpass.server.access.permissions import OrganizationRole
from runpass.server.db.engine import Database
from runpass.server.db.schema import metadata
from runpass.server.db.schema.audit import audit_events
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.identity import Passport
from runpass.server.deployments.run_leases import end_expired, finish, take
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.rings import open_rings
from runpass.server.runners.joining import register
from runpass.server.tenancy.founding import found_organization
from runpass.server.variables.model import VariableScope


@contextmanager
def without_an_audit_trail(database: Database) -> Iterator[None]:
    with database.write() as tx:
        tx.execute(text("ALTER TABLE audit_events RENAME TO audit_events_away"))
    try:
        yield
    finally:
        with database.write() as tx:
            tx.execute(text("ALTER TABLE audit_events_away RENAME TO audit_events"))


def everything_stored(database: Database) -> dict[str, list[Any]]:
    with database.read() as tx:
        return {
            table.name: sorted(tx.execute(select(table)).all(), key=repr)
            for table in metadata.sorted_tables
            if table.name != "audit_events" and inspect(tx).has_table(table.name)
        }


def found(tenant: Tenant, world: World) -> None:
    found_organization(world.database, "another", world.clock)


def make_key(tenant: Tenant, world: World) -> None:
    with world.database.write() as tx:
        wanted = KeyRequest(tenant.id, "key", OrganizationRole.USER, {})
        create_api_key(tx, wanted, by="test", clock=world.clock)


def save_variable(tenant: Tenant, world: World) -> None:
    tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", "new value")


def make_join_token(tenant: Tenant, world: World) -> None:
    tenant.join_token()


@pytest.mark.parametrize("act", [found, make_key, save_variable, make_join_token])
def test_what_cannot_be_recorded_does_not_happen(tenant: Tenant, world: World, act: Callable[[Tenant, World], None]):
    before = everything_stored(world.database)
    with without_an_audit_trail(world.database), pytest.raises((RunpassError, DBAPIError)):
        act(tenant, world)
    assert everything_stored(world.database) == before
    act(tenant, world)
    assert everything_stored(world.database) != before


def test_a_deployment_is_queued_taken_finished_and_lost_only_with_its_record(tenant: Tenant, world: World):
    project = tenant.project()
    template = tenant.template(project)
    places = [tenant.environment(project, template, name) for name in ("one", "other")]
    runner = tenant.runner(capacity=2)
    tenant.queue(places[0])
    lease = take(world.rules, runner)
    assert lease is not None
    tenant.queue(places[1])
    last_word = Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS)
    before = everything_stored(world.database)
    attempts: list[Callable[[], object]] = [
        lambda: tenant.queue(places[0]),
        lambda: take(world.rules, runner),
        lambda: finish(world.rules, holder(runner, lease), last_word),
    ]
    with without_an_audit_trail(world.database):
        for attempt in attempts:
            with pytest.raises((RunpassError, DBAPIError)):
                attempt()
            assert everything_stored(world.database) == before
        world.clock.advance(LEASE)
        with suppress(RunpassError):
            assert end_expired(world.rules) == []
        assert everything_stored(world.database) == before
    assert len(end_expired(world.rules)) == 1


def test_a_runner_joins_only_with_its_record_and_keeps_its_join_token(tenant: Tenant, world: World):
    token = tenant.join_token(uses=1)
    registration = Registration(name="runner", version="1", isolation=Isolation.UID, capacity=1)
    with without_an_audit_trail(world.database), pytest.raises((RunpassError, DBAPIError)):
        register(world.database, token, registration, world.clock)
    assert register(world.database, token, registration, world.clock).runner.organization_id == tenant.id


def test_without_an_audit_record_there_is_no_token(tenant: Tenant, world: World):
    project, environment = tenant.somewhere_to_deploy()
    credential = tenant.credential()
    tenant.assign(credential, project)
    tenant.queue(environment)
    runner = tenant.runner()
    lease = take(world.rules, runner)
    assert lease is not None
    ring = open_rings(world.database, world.cipher, world.clock).shared
    minter = Minter(ring, "https://id.example.com/", world.clock)
    passport = Passport(
        world.rules, minter, own=OwnAudiences("https://id.example.com", ()), lifetime=timedelta(minutes=15)
    )
    purpose = ForCredential(credential_id=credential.id)
    before = everything_stored(world.database)

    given = None
    with without_an_audit_trail(world.database), pytest.raises((RunpassError, DBAPIError)):
        given = passport.issue(holder(runner, lease), purpose)

    assert given is None
    assert everything_stored(world.database) == before
    passport.issue(holder(runner, lease), purpose)


def test_the_trail_tells_the_story_of_a_run_in_order(tenant: Tenant, world: World):
    deployment = tenant.queue(tenant.somewhere_to_deploy()[1])
    runner = tenant.runner()
    lease = take(world.rules, runner)
    assert lease is not None
    finish(world.rules, holder(runner, lease), Finish(fencing_token=1, outcome=Outcome.SUCCESS))
    with world.database.read() as tx:
        mine = audit_events.c.subject_id == str(deployment.id)
        rows = tx.execute(select(audit_events).where(mine).order_by(audit_events.c.id)).all()
    assert [(row.action, row.actor) for row in rows] == [
        ("deployment.queued", tenant.admin.audit_name),
        ("deployment.in_progress", runner.audit_name),
        ("deployment.success", runner.audit_name),
    ]
    assert {row.organization_id for row in rows} == {tenant.id}
