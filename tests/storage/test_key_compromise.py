"""A key that leaked, in the database: stopped for all servers at once, replaced, destroyed; each step once."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select

from factories import World
from key_scene import POLICY, SECOND, actions, rotate, start_rings, states
from runpass.errors import Conflict, NotFound, Unavailable
from runpass.secret import Secret
from runpass.server.db.encryption import CorruptColumn
from runpass.server.db.schema.compromises import key_probes, server_processes
from runpass.server.db.schema.issuer import signing_keys
from runpass.server.issuer import compromise_store, store
from runpass.server.issuer.compromise import SPARE, Cure
from runpass.server.issuer.compromise_store import HELD, Probe
from runpass.server.issuer.key_life import remove_early, want_rotation
from runpass.server.issuer.keys import SHARED, KeyState
from runpass.server.issuer.presence import CLOCKS, TELL_EVERY, Presence
from runpass.server.issuer.rings import STUCK, Rings


@pytest.fixture
def server(world: World) -> Callable[..., Rings]:
    """Start a server on the world's database."""
    return partial(start_rings, world)


@pytest.fixture
def cure(world: World) -> Cure:
    return Cure(world.database, world.cipher, world.clock, POLICY, "operator:test")


def row_of(world: World, kid: str):
    with world.database.read() as tx:
        return tx.execute(signing_keys.select().where(signing_keys.c.kid == kid)).one()


def test_a_stopped_key_is_in_no_document_and_signs_nothing_and_nobody_replaces_it_meanwhile(server, world, cure):
    servers = [server(), server()]
    bad = servers[0].shared.signing.kid
    found = cure.stop(bad)
    assert (found.was, found.stopped_at) == (KeyState.ACTIVE, world.clock.now())
    for rings in servers:
        rings.tend()
        assert states(rings) == []
        with pytest.raises(Unavailable):
            _ = rings.shared.signing
    assert start_rings(world).shared.current.keys == ()  # nor does a server that starts now
    assert row_of(world, bad).private_key_sealed is not None  # the probes are still to be signed
    assert cure.stop(bad) == found
    with pytest.raises(Conflict):
        remove_early(world.database, world.clock, bad, "operator:test")
    with pytest.raises(Conflict):
        want_rotation(world.database, world.clock, SHARED, "operator:test")


def test_the_fresh_key_was_never_published_and_the_upcoming_one_goes_too(server, world, cure):
    rings = server()
    want_rotation(world.database, world.clock, SHARED, "operator:test")
    for _ in range(2):
        rings.tend()
    bad = rings.shared.signing.kid
    (upcoming,) = {key.kid for key in rings.shared.current.keys} - {bad}
    found = cure.stop(bad)
    fresh = cure.start_fresh_key(found)
    rings.tend()
    assert [key.kid for key in rings.shared.current.keys] == [fresh]
    assert rings.shared.signing.kid == fresh
    assert fresh not in {bad, upcoming}
    gone = row_of(world, upcoming)
    assert (gone.state, gone.private_key_sealed) == ("gone", None)
    assert cure.start_fresh_key(cure.again(found)) == fresh
    assert cure.start_fresh_key(found) == fresh  # somebody who has not seen that it is done
    cure.destroy(found)
    cure.destroy(found)
    destroyed = row_of(world, bad)
    assert (destroyed.state, destroyed.private_key_sealed) == ("compromised", None)
    assert cure.open_key(found) is None
    assert actions(world)[-4:] == [
        ("signing_key.discarded", "operator:test"),
        ("signing_key.compromised", "operator:test"),
        ("signing_key.created", "operator:test"),
        ("signing_key.destroyed", "operator:test"),
    ]


def test_keys_rotate_on_after_it(server, world, cure):
    rings = server()
    bad = rings.shared.signing.kid
    cure.start_fresh_key(cure.stop(bad))
    rings.tend()
    fresh = rings.shared.signing.kid
    rotate(world, rings)
    assert rings.shared.signing.kid not in {bad, fresh}
    assert row_of(world, bad).state == "compromised"


def test_when_nobody_goes_on_a_server_makes_the_fresh_key_in_the_end(server, world, cure):
    rings = server()
    bad = rings.shared.signing.kid
    found = cure.stop(bad)
    rings.tend()
    world.clock.advance(HELD - SECOND)
    rings.tend()
    assert states(rings) == []
    world.clock.advance(STUCK)
    rings.tend()
    assert states(rings) == ["active"]
    fresh = rings.shared.signing.kid
    assert cure.start_fresh_key(found) == fresh
    assert cure.again(found).replacement_kid == fresh


def test_a_retiring_key_is_taken_out_and_the_one_that_signs_signs_on(server, world, cure):
    rings = server()
    bad = rings.shared.signing.kid
    rotate(world, rings)
    signing = rings.shared.signing.kid
    found = cure.stop(bad)
    rings.tend()
    assert [key.kid for key in rings.shared.current.keys] == [signing]
    assert rings.shared.signing.kid == signing
    assert cure.open_key(found) is not None
    assert cure.start_fresh_key(found) == signing


def test_a_key_that_is_gone_already_has_nothing_left_to_sign_probes_with(server, world, cure):
    rings = server()
    bad = rings.shared.signing.kid
    rotate(world, rings)
    remove_early(world.database, world.clock, bad, "operator:test")
    found = cure.stop(bad)
    assert (found.was, found.destroyed_at) == (KeyState.GONE, world.clock.now())
    assert cure.open_key(found) is None
    with pytest.raises(NotFound):
        cure.stop("never-there")


def test_an_organizations_key_is_replaced_alone_and_recorded_in_both_chains(server, world, cure):
    rings = server()
    tenant = world.tenant()
    bad, shared = rings.ring_for(tenant.id).signing.kid, rings.shared.signing.kid
    found = cure.stop(bad)
    rings.tend()
    assert rings.shared.signing.kid == shared
    with pytest.raises(Unavailable):
        _ = rings.ring_for(tenant.id).signing
    fresh = cure.start_fresh_key(found)
    rings.tend()
    assert rings.ring_for(tenant.id).signing.kid == fresh
    assert ("signing_key.compromised", "operator:test") in actions(world)


def test_a_process_acknowledges_once_it_has_looked(server, world, cure):
    rings, other = server(), server()
    present, silent = (Presence(world.database, world.clock, item) for item in (rings, other))
    for presence in (present, silent):
        presence.tell()
    found = cure.stop(rings.shared.signing.kid)
    assert len(cure.behind(found)) == 2
    rings.tend()
    present.tell()
    (missing,) = cure.behind(found)
    assert (missing.stale_after, missing.documents_stale_after) == (POLICY.stale_after, POLICY.documents_stale_after)
    assert missing.may_sign_until(found.stopped_at) == found.stopped_at + POLICY.stale_after
    world.clock.advance(
        TELL_EVERY + POLICY.documents_stale_after + CLOCKS + SECOND
    )  # crashed: it can do nothing any more
    assert cure.behind(found) == []
    silent.end()
    present.end()
    with world.database.read() as tx:
        assert tx.execute(select(server_processes)).all() == []


def test_a_process_says_that_it_is_there_every_few_seconds_and_forgets_the_crashed(server, world):
    presence = Presence(world.database, world.clock, server())

    def seen() -> list:
        with world.database.read() as tx:
            return [row.seen_at for row in tx.execute(select(server_processes))]

    presence.tell()
    first = world.clock.now()
    world.clock.advance(SECOND)
    presence.tell()
    assert seen() == [first]
    world.clock.advance(TELL_EVERY)
    presence.tell()
    assert seen() == [world.clock.now()]
    world.clock.advance(100_000 * SECOND)
    Presence(world.database, world.clock, server()).tell()
    assert seen() == [world.clock.now()]
    presence.tell()  # it was only asleep
    assert len(seen()) == 2


def test_probes_are_sealed_to_their_place_and_deleted_at_the_end(server, world, cure):
    tenant = world.tenant()
    credential = tenant.credential()
    found = cure.stop(server().shared.signing.kid)
    probes = (Probe(credential.id, tenant.id, Secret("its-own")), Probe(SPARE, None, Secret("spare")))
    cure.keep_probes(found, probes)
    cure.keep_probes(found, (Probe(new := tenant.project().id, None, Secret("late")),))  # they were signed already

    def probe(credential_id) -> str | None:
        with world.database.read() as tx:
            secret = compromise_store.probe_for(tx, world.cipher, found.kid, credential_id, SPARE)
        return None if secret is None else secret.reveal()

    assert (probe(credential.id), probe(new)) == ("its-own", "spare")
    with world.database.write() as tx:
        tx.execute(key_probes.update().where(key_probes.c.credential_id == credential.id).values(organization_id=None))
    with pytest.raises(CorruptColumn):
        probe(credential.id)
    cure.note_vaults(found, {"not_cured": "1"}, all_cured=False)
    assert probe(new) == "spare"
    cure.note_vaults(found, {"cured": "1"}, all_cured=True)
    assert probe(new) is None
    assert cure.again(found).cured_at == world.clock.now()


def test_a_key_id_is_never_used_again_after_it(server, world, cure):
    rings = server()
    bad = rings.shared.signing
    found = cure.stop(bad.kid)
    cure.destroy(found)
    with pytest.raises(Conflict), world.database.write() as tx:
        store.insert_key(tx, world.cipher, replace(bad, state=KeyState.UPCOMING))
