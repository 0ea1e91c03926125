"""Signing keys in the database: one server after another, many at once, clocks that stop or go back."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest

from factories import MovingClock, World
from key_scene import POLICY, SECOND, actions, rotate, start_rings, states
from runpass.errors import Conflict, NotFound, Unavailable
from runpass.server.db.engine import Database, Transaction
from runpass.server.db.schema.issuer import signing_key_changes, signing_keys
from runpass.server.issuer import store
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.discovery import jwks_document
from runpass.server.issuer.key_life import remove_early, want_rotation
from runpass.server.issuer.keys import SHARED
from runpass.server.issuer.rings import Rings, open_rings


@pytest.fixture
def server(world: World) -> Callable[..., Rings]:
    """Start a server on the world's database."""
    return partial(start_rings, world)


def test_a_key_lives_from_upcoming_to_gone_and_its_row_stays_without_its_private_half(server, world: World):
    rings = server()
    first = rings.shared.signing
    world.clock.advance(POLICY.rotate_every - POLICY.publish_ahead - POLICY.stale_after)
    for _ in range(2):
        rings.tend()
    assert states(rings) == ["active", "upcoming"]
    world.clock.advance(POLICY.publish_ahead)
    rings.tend()
    assert states(rings) == ["active", "upcoming"]  # it was published for long enough, and its time has not come
    world.clock.advance(POLICY.stale_after)
    rings.tend()
    assert states(rings) == ["retiring", "active"]
    second = rings.shared.signing
    assert second.kid != first.kid
    world.clock.advance(POLICY.stale_after + POLICY.longest_token + POLICY.cache_time - SECOND)
    rings.tend()
    assert states(rings) == ["retiring", "active"]
    world.clock.advance(SECOND)
    rings.tend()
    assert states(rings) == ["active"]
    with world.database.read() as tx:
        row = tx.execute(signing_keys.select().where(signing_keys.c.kid == first.kid)).one()
    assert (row.state, row.private_key_sealed, row.public_jwk) == ("gone", None, first.public_jwk)
    assert (row.activated_at, row.gone_at) == (first.activated_at, world.clock.now())
    assert actions(world) == [
        ("signing_key.created", "system"),
        ("signing_key.created", "system"),
        ("signing_key.published", "system"),
        ("signing_key.retired", "system"),
        ("signing_key.activated", "system"),
        ("signing_key.destroyed", "system"),
    ]


def test_a_key_id_that_was_ever_there_is_never_taken_again(server, world: World):
    rings = server()
    first = rings.shared.signing
    rotate(world, rings)
    remove_early(world.database, world.clock, first.kid, "operator:test")
    with pytest.raises(Conflict), world.database.write() as tx:
        store.insert_key(tx, world.cipher, first)


def test_servers_that_start_at_the_same_moment_have_one_key(world: World):
    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: open_rings(world.database, world.cipher, world.clock, POLICY), range(4)))
    assert len({rings.shared.signing.kid for rings in started}) == 1
    assert actions(world) == [("signing_key.created", "system")]


def test_servers_that_rotate_at_the_same_moment_do_each_step_once(server, world: World):
    servers = [server() for _ in range(4)]
    old = servers[0].shared.signing.kid
    want_rotation(world.database, world.clock, SHARED, "operator:test")

    def all_at_once() -> None:
        barrier = threading.Barrier(4)

        def tend(rings: Rings) -> None:
            barrier.wait()
            rings.tend()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(tend, servers))

    for pause in (timedelta(0), timedelta(0), POLICY.publish_ahead, timedelta(0)):
        world.clock.advance(pause)
        all_at_once()
    assert len({rings.shared.signing.kid for rings in servers} - {old}) == 1
    assert [action for action, _ in actions(world)] == [
        "signing_key.created",
        "signing_key.rotation_wanted",
        "signing_key.created",
        "signing_key.published",
        "signing_key.retired",
        "signing_key.activated",
    ]


def test_another_server_takes_over_what_one_has_done_and_a_new_one_starts_with_it(server, world: World):
    one, other = server(), server()
    documents = [jwks_document(other.shared.current)]
    rotate(world, one, other)
    documents.append(jwks_document(other.shared.current))
    assert documents[0].etag != documents[1].etag
    assert len({rings.shared.signing.kid for rings in (one, other, server())}) == 1
    assert states(server()) == ["retiring", "active"]


def test_a_ring_is_left_alone_while_nothing_changes(server):
    rings = server()
    before = rings.shared.current
    rings.tend()
    rings.refresh()
    assert rings.shared.current is before


def test_a_database_that_was_restored_is_read_again(server, world: World):
    rings = server()
    old = rings.shared.signing.kid
    with world.database.read() as tx:
        kept = [tx.execute(table.select()).mappings().all() for table in (signing_keys, signing_key_changes)]
    rotate(world, rings)
    assert rings.shared.signing.kid != old
    with world.database.write() as tx:
        for table, rows in zip((signing_keys, signing_key_changes), kept, strict=True):
            tx.execute(table.delete())
            tx.execute(table.insert(), [dict(row) for row in rows])
    rings.refresh()
    assert rings.shared.signing.kid == old


class Reachable(Database):
    """A database that can be cut off."""

    cut_off = False

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        if self.cut_off:
            raise Unavailable("cut off")
        with super().read() as tx:
            yield tx


def test_a_server_that_cannot_read_the_database_stops_signing_and_later_stops_publishing(world: World):
    database = Reachable(world.database.engine)
    rings = open_rings(database, world.cipher, world.clock, POLICY)
    rings.refresh()
    database.cut_off = True
    world.clock.advance(POLICY.stale_after)
    kid = rings.shared.signing.kid
    world.clock.advance(SECOND)
    with pytest.raises(Unavailable):
        _ = rings.shared.signing
    world.clock.advance(POLICY.documents_stale_after - POLICY.stale_after - SECOND)
    assert [key.kid for key in rings.shared.current.keys] == [kid]
    world.clock.advance(SECOND)
    with pytest.raises(Unavailable, match="cannot be compared with the database"):
        _ = rings.shared.current
    database.cut_off = False
    assert rings.shared.signing.kid == kid  # it looks by itself when it is asked
    assert rings.shared.current.keys


class Sleeping(MovingClock):
    """The clocks of a machine that slept: the one that never goes back stood still meanwhile."""

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize("clock", [Sleeping()], ids=["asleep"])
def test_a_machine_that_slept_looks_before_it_signs(server, world: World, clock: Sleeping):
    slow, other = server(), server()
    rotate(world, other)
    world.clock.advance(POLICY.documents_stale_after + SECOND)
    assert slow.shared.signing.kid == other.shared.signing.kid


def test_a_clock_that_was_put_back_stops_nobody_from_signing(server, world: World):
    rings = server()
    kid = rings.shared.signing.kid
    world.clock.advance(timedelta(days=-400))
    rings.tend()
    assert rings.shared.signing.kid == kid
    assert states(rings) == ["active"]


def test_a_stale_server_finds_out_before_it_signs_that_its_key_is_retired(server, world: World):
    slow, other = server(), server()
    rotate(world, other)
    assert slow.shared.signing.kid == other.shared.signing.kid


def test_a_longer_lifetime_is_stored_before_the_server_signs(server, world: World):
    server()
    server(longest_token=timedelta(hours=20))
    rings = server()
    assert rings.shared.signing.longest_token == timedelta(hours=20)
    rotate(world, rings)
    retired = world.clock.now()
    old = rings.shared.current.keys[0]
    assert old.last_token_expires_at == retired + POLICY.stale_after + timedelta(hours=20)
    assert rings.shared.signing.longest_token == POLICY.longest_token


def test_another_algorithm_takes_effect_with_the_next_rotation(server, world: World):
    server()
    rings = server(algorithm=Algorithm.EDDSA)
    assert rings.shared.signing.algorithm == "ES256"
    rotate(world, rings)
    assert rings.shared.signing.algorithm == "EdDSA"
    assert {key["alg"] for key in rings.shared.current.jwks()["keys"]} == {"ES256", "EdDSA"}


def test_a_rotation_that_is_asked_for_twice_happens_once(server, world: World):
    rings = server()
    asked = want_rotation(world.database, world.clock, SHARED, "operator:one").rotation_wanted_at
    world.clock.advance(SECOND)
    assert want_rotation(world.database, world.clock, SHARED, "operator:two").rotation_wanted_at == asked
    rotate(world, rings)
    assert rings.shared.signing.rotation_wanted_at is None
    assert [actor for action, actor in actions(world) if action.endswith("rotation_wanted")] == ["operator:one"]


def test_only_a_key_that_does_not_sign_can_be_removed_early(server, world: World):
    rings = server()
    first = rings.shared.signing.kid
    with pytest.raises(Conflict, match="this is the key that signs"):
        remove_early(world.database, world.clock, first, "operator:test")
    with pytest.raises(NotFound):
        remove_early(world.database, world.clock, "unknown", "operator:test")
    rotate(world, rings)
    remove_early(world.database, world.clock, first, "operator:test")
    with pytest.raises(Conflict, match="gone already"):
        remove_early(world.database, world.clock, first, "operator:test")
    rings.refresh()
    assert states(rings) == ["active"]
    assert actions(world)[-1] == ("signing_key.removed_early", "operator:test")
