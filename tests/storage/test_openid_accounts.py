"""Accounts that a provider vouches for: whose they are, what their groups give, and that nothing else lets them in."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from console import new_person
from factories import Tenant, World
from runpass.errors import Conflict, InvalidInput
from runpass.ids import OrganizationId, new_id
from runpass.secret import Secret
from runpass.server.access import people_store, session_store
from runpass.server.access.bearers import Bearer, new_bearer
from runpass.server.access.people import checked_sign_in_name, person_actor
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.access.sessions import start_session_of
from runpass.server.db.schema.access import openid_sign_ins
from runpass.server.openid import under_way
from runpass.server.openid.accounts import account_of
from runpass.server.openid.id_tokens import Proved
from runpass.server.openid.roles import Granted
from runpass.server.openid.under_way import LIFETIME, NotUnderWay, begin, take
from runpass.server.people import identity_store
from runpass.server.people.changing import change_roles, invite_again

ANN = Proved("https://id.example.com", "ann", "Ann", frozenset({"people"}))


def signs_in(world: World, proved: Proved, granted: Granted | None) -> Person | None:
    with world.database.write() as tx:
        person = account_of(tx, proved, granted, world.clock.now())
    if person is not None:
        with world.database.write() as tx:
            start_session_of(tx, person, "192.0.2.1", world.clock.now())
    return person


def sessions_of(world: World, person: Person) -> int:
    with world.database.read() as tx:
        return len(session_store.list_sessions(tx, person_actor(person), world.clock.now()))


def is_there(world: World, person: Person) -> bool:
    with world.database.read() as tx:
        return people_store.get_person(tx, person.organization_id, person.id) is not None


def test_a_first_sign_in_makes_a_person_without_a_password_and_the_next_finds_it(world: World, tenant: Tenant):
    project = tenant.project()
    granted = Granted(tenant.id, OrganizationRole.USER, {project.id: ProjectRole.DEPLOYER})
    person = signs_in(world, ANN, granted)
    assert person is not None
    assert (person.password_hash, person.invitation_sha256, person.display_name) == (None, None, "Ann")
    assert person.project_roles == {project.id: ProjectRole.DEPLOYER}
    again = signs_in(world, replace(ANN, name="Another name"), granted)
    assert again is not None
    assert again.id == person.id
    assert sessions_of(world, person) == 2


def test_another_subject_or_another_issuer_is_somebody_else(world: World, tenant: Tenant):
    granted = Granted(tenant.id, OrganizationRole.USER, {})
    others = (ANN, replace(ANN, subject="Ann"), replace(ANN, issuer="https://id.example.com/"))
    found = [signs_in(world, proved, granted) for proved in others]
    assert len({person.id for person in found if person is not None}) == 3


def test_nobody_who_has_a_password_is_taken_over(world: World, tenant: Tenant):
    theirs = new_person(world, tenant.id, "ann@example.com")
    person = signs_in(
        world,
        replace(ANN, subject="ann@example.com", name="ann@example.com"),
        Granted(tenant.id, OrganizationRole.USER, {}),
    )
    assert person is not None
    assert person.id != theirs.id
    assert sessions_of(world, theirs) == 0


def test_other_roles_count_at_the_next_sign_in_and_end_the_sessions_before(world: World, tenant: Tenant):
    person = signs_in(world, ANN, Granted(tenant.id, OrganizationRole.ADMIN, {}))
    assert person is not None
    after = signs_in(world, ANN, Granted(tenant.id, OrganizationRole.USER, {}))
    assert after is not None
    assert (after.id, after.organization_role) == (person.id, OrganizationRole.USER)
    assert sessions_of(world, person) == 1


def test_without_a_group_that_counts_the_account_and_its_sessions_are_gone(world: World, tenant: Tenant):
    person = signs_in(world, ANN, Granted(tenant.id, OrganizationRole.ADMIN, {}))
    assert person is not None
    assert signs_in(world, ANN, None) is None
    assert not is_there(world, person)
    assert sessions_of(world, person) == 0
    assert signs_in(world, ANN, None) is None


def test_groups_of_another_organization_move_nobody_but_make_somebody_new(world: World, tenant: Tenant):
    person = signs_in(world, ANN, Granted(tenant.id, OrganizationRole.ADMIN, {}))
    other = world.tenant("other")
    moved = signs_in(world, ANN, Granted(other.id, OrganizationRole.USER, {}))
    assert person is not None
    assert moved is not None
    assert (moved.organization_id, moved.organization_role) == (other.id, OrganizationRole.USER)
    assert not is_there(world, person)


def test_an_organization_or_a_project_that_is_not_there_gives_nothing(world: World, tenant: Tenant):
    strange = world.tenant("other").project()
    nowhere = Granted(OrganizationId(new_id()), OrganizationRole.ADMIN, {})
    assert signs_in(world, ANN, nowhere) is None
    person = signs_in(world, ANN, Granted(tenant.id, OrganizationRole.USER, {strange.id: ProjectRole.ADMIN}))
    assert person is not None
    assert person.project_roles == {}


def test_an_admin_gives_no_password_and_no_roles_to_people_of_a_provider(world: World, tenant: Tenant):
    person = signs_in(world, ANN, Granted(tenant.id, OrganizationRole.USER, {}))
    assert person is not None
    with pytest.raises(Conflict, match="provider"), world.database.write() as tx:
        invite_again(tx, tenant.admin, person.id, world.clock)
    with pytest.raises(Conflict, match="provider"), world.database.write() as tx:
        change_roles(tx, tenant.admin, person.id, role=OrganizationRole.ADMIN, on={}, now=world.clock.now())
    with pytest.raises(InvalidInput):
        checked_sign_in_name(person.sign_in_name.upper())
    with world.database.read() as tx:
        assert identity_store.has_identity(tx, person.id)


def test_a_sign_in_is_used_once_by_its_own_browser_within_ten_minutes(world: World):
    browser, now = new_bearer(Bearer.FORM), world.clock.now()
    with world.database.write() as tx:
        begun, late = begin(tx, browser, "/console/sessions", now), begin(tx, browser, "//evil.example", now)
    assert late.place == "/console/"
    wrong = (
        (begun.state, new_bearer(Bearer.FORM), now),
        (Secret("rpo_x"), browser, now),
        (late.state, browser, now + LIFETIME),
    )
    for state, who, at in wrong:
        with pytest.raises(NotUnderWay), world.database.write() as tx:
            take(tx, state, who, at)
    with world.database.write() as tx:
        assert take(tx, begun.state, browser, now + LIFETIME - timedelta(seconds=1)) == begun
    with pytest.raises(NotUnderWay), world.database.write() as tx:
        take(tx, begun.state, browser, now)


def test_nothing_of_a_sign_in_can_be_redeemed_with_the_database_alone(world: World):
    browser = new_bearer(Bearer.FORM)
    with world.database.write() as tx:
        begun = begin(tx, browser, "", world.clock.now())
        row = repr(tx.execute(select(openid_sign_ins)).one())
    for secret in (begun.state.reveal(), begun.verifier.reveal(), begun.nonce, browser.reveal()):
        assert secret not in row
    assert len(begun.verifier.reveal()) == 43
    assert begun.verifier.reveal() != begun.nonce


def test_sign_ins_that_nobody_ends_do_not_pile_up(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(under_way, "MOST", 3)
    browser, now = new_bearer(Bearer.FORM), world.clock.now()
    begun = []
    for second in range(5):
        with world.database.write() as tx:
            begun.append(begin(tx, browser, "", now + timedelta(seconds=second)))
    with world.database.write() as tx:
        assert tx.execute(select(func.count()).select_from(openid_sign_ins)).scalar_one() == 3
        take(tx, begun[-1].state, browser, now)
    with world.database.write() as tx:
        begin(tx, browser, "", now + timedelta(hours=1))
        assert tx.execute(select(func.count()).select_from(openid_sign_ins)).scalar_one() == 1
