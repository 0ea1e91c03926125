"""The claim `deployerEmail`: an address that a provider has verified, of the person who started the run, or none."""

from sqlalchemy import select

from console import new_person
from factories import Tenant, World
from people_of_provider import claims_of_run, person_of_provider
from runpass.ids import PersonId
from runpass.server.access.people import person_actor
from runpass.server.db.schema.audit import audit_events
from runpass.server.deployments.deployer import deployer_email
from runpass.server.people import identity_store

ADDRESS = "ann@example.com"


def test_a_run_says_the_verified_address_of_the_person_who_started_it(tenant: Tenant):
    assert claims_of_run(tenant, person_of_provider(tenant, ADDRESS))["deployerEmail"] == ADDRESS


def test_each_sign_in_says_anew_which_address_it_is_and_whether_it_is_verified(tenant: Tenant):
    ann = person_of_provider(tenant, ADDRESS)
    assert person_of_provider(tenant, "ann@elsewhere.example.com").id == ann.id
    assert claims_of_run(tenant, ann)["deployerEmail"] == "ann@elsewhere.example.com"
    person_of_provider(tenant, None)
    assert "deployerEmail" not in claims_of_run(tenant, ann)


def test_what_was_queued_before_keeps_the_address_of_that_moment(tenant: Tenant, world: World):
    ann = person_of_provider(tenant, ADDRESS)
    found = claims_of_run(tenant, ann)
    person_of_provider(tenant, None)
    with world.database.read() as tx:
        assert identity_store.verified_email(tx, tenant.id, PersonId(ann.id)) is None
    assert found["deployerEmail"] == ADDRESS


def test_nobody_else_has_an_address(tenant: Tenant, world: World):
    with_password = person_actor(new_person(world, tenant.id, ADDRESS))
    person_of_provider(tenant, ADDRESS)
    others = (tenant.admin, with_password, person_of_provider(tenant, None, "bob"))
    for starter in others:
        assert "deployerEmail" not in claims_of_run(tenant, starter)


def test_another_tenants_people_and_the_server_in_somebodys_place_have_none(tenant: Tenant, world: World):
    ann = person_of_provider(tenant, ADDRESS)
    other = world.tenant("other")
    with world.database.read() as tx:
        assert deployer_email(tx, ann, ann.audit_name) == ADDRESS
        assert deployer_email(tx, ann, "ttl") is None
        assert identity_store.verified_email(tx, other.id, PersonId(ann.id)) is None


def test_the_audit_trail_holds_no_address(tenant: Tenant, world: World):
    claims_of_run(tenant, person_of_provider(tenant, ADDRESS))
    with world.database.read() as tx:
        assert ADDRESS not in repr(tx.execute(select(audit_events)).all())
