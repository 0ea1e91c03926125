"""Rows of signing keys: damaged, planted, of organizations, and of the schema before."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import update

from factories import World
from key_scene import POLICY, rotate, start_rings, states
from runpass.errors import Conflict, Unavailable
from runpass.server.db.encryption import Cipher, CorruptColumn, Place
from runpass.server.db.engine import open_database
from runpass.server.db.migrate import SCRIPTS, current, head, upgrade
from runpass.server.db.schema.issuer import signing_keys
from runpass.server.issuer import store
from runpass.server.issuer.algorithms import Algorithm, public_jwk
from runpass.server.issuer.key_life import remove_early, want_rotation
from runpass.server.issuer.keys import SHARED, KeyState, new_key
from runpass.server.issuer.rings import Rings, open_rings


@pytest.fixture
def server(world: World) -> Callable[..., Rings]:
    """Start a server on the world's database."""
    return partial(start_rings, world)


@pytest.mark.parametrize("kind_of_damage", ["its bytes", "the private half of another key"])
def test_an_upcoming_key_that_does_not_open_is_withheld_and_never_takes_over(server, world: World, kind_of_damage: str):
    rings = server()
    kid = rings.shared.signing.kid
    want_rotation(world.database, world.clock, SHARED, "operator:test")
    for _ in range(2):
        rings.tend()
    upcoming = next(key.kid for key in rings.shared.current.keys if key.state is KeyState.UPCOMING)
    other = world.cipher.seal(new_key(world.clock.now(), Algorithm.ES256).private_der(), place(upcoming))
    sealed = b"damaged" if kind_of_damage == "its bytes" else other
    tamper(world, "upcoming", private_key_sealed=sealed)
    with structlog.testing.capture_logs() as logs:
        rings.refresh()
    assert states(rings) == ["active"]
    assert [key.state.value for key in rings.shared.current.withheld] == ["upcoming"]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("signing_key.withheld", "error")]
    world.clock.advance(POLICY.publish_ahead)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            rings.tend()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("signing_key.stuck", "error")]  # not thrice
    assert rings.shared.signing.kid == kid
    assert server().shared.signing.kid == kid
    remove_early(world.database, world.clock, rings.shared.current.withheld[0].kid, "operator:test")
    rotate(world, rings)
    assert rings.shared.signing.kid != kid


def place(kid: str) -> Place:
    return Place("signing_keys", "private_key_sealed", kid)


def tamper(world: World, state: str, **columns: Any) -> None:
    with world.database.write() as tx:
        change = store.next_change(tx)
        tx.execute(update(signing_keys).where(signing_keys.c.state == state).values(**columns, change_seq=change))


def test_whoever_can_only_write_to_the_database_cannot_publish_a_key_of_their_own(server, world: World):
    rings = server()
    rotate(world, rings)
    planted = new_key(world.clock.now(), Algorithm.ES256).public_jwk
    tamper(world, "retiring", public_jwk=planted)
    rings.refresh()
    assert planted not in rings.shared.current.jwks()["keys"]
    tamper(world, "active", public_jwk=planted)
    rings.refresh()
    assert planted not in rings.shared.current.jwks()["keys"]
    with pytest.raises(Unavailable):
        _ = rings.shared.signing
    with pytest.raises(CorruptColumn, match="is not the public half"):
        server()


def test_a_key_that_a_vault_might_not_read_is_never_published_and_does_not_sign(world: World):
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 -- that is the point
    jwk = public_jwk(private_key.public_key())
    short = replace(new_key(world.clock.now()), kid=jwk["kid"], public_jwk=jwk, private_key=private_key)
    with world.database.write() as tx:
        store.insert_key(tx, world.cipher, short)
    with structlog.testing.capture_logs() as logs:
        rings = open_rings(world.database, world.cipher, world.clock, POLICY)
    assert [entry["event"] for entry in logs] == ["signing_key.withheld"]
    assert rings.shared.current.jwks() == {"keys": []}
    with pytest.raises(Unavailable):
        _ = rings.shared.signing


def test_an_organizations_issuer_has_keys_of_its_own_made_when_it_is_first_asked_for(server, world: World):
    rings, other = server(), server()
    acme, globex = world.tenant("acme").id, world.tenant("globex").id
    kids = {rings.ring_for(issuer).signing.kid for issuer in (SHARED, acme, globex)}
    assert len(kids) == 3
    assert other.ring_for(acme).signing.kid == rings.ring_for(acme).signing.kid
    assert [key["kid"] for key in rings.ring_for(acme).current.jwks()["keys"]] == [rings.ring_for(acme).signing.kid]
    world.clock.advance(POLICY.rotate_every)
    for _ in range(2):
        rings.tend()
    world.clock.advance(POLICY.publish_ahead)
    rings.tend()
    other.refresh()
    for ring in (rings.ring_for(acme), other.ring_for(acme), rings.shared):
        assert ring.signing.kid not in kids
    assert other.ring_for(acme).signing.kid == rings.ring_for(acme).signing.kid


def test_an_organizations_key_does_not_open_as_anothers(server, world: World):
    rings = server()
    acme, globex = world.tenant("acme").id, world.tenant("globex").id
    rings.ring_for(acme)
    mine = signing_keys.c.organization_id == acme
    with world.database.write() as tx:
        tx.execute(update(signing_keys).where(mine).values(organization_id=globex))
    with pytest.raises(Unavailable):
        _ = rings.ring_for(globex).signing
    assert rings.shared.signing  # what is wrong with one organization's key stops nobody else
    rings.tend()


def test_a_key_of_the_schema_before_signs_on(empty_url: str, cipher: Cipher, world: World):
    database = open_database(empty_url)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    before = ScriptDirectory.from_config(config).get_revision("0008").down_revision
    key = new_key(world.clock.now())
    row = {
        "kid": key.kid,
        "algorithm": "RS256",
        "state": "active",
        "public_jwk": key.public_jwk,
        "private_key_sealed": cipher.seal(key.private_der(), place(key.kid)),
        "created_at": key.created_at,
    }
    with database.write() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, str(before))
        tx.execute(signing_keys.insert().values(**row))
    upgrade(database)
    assert current(database) == head()
    signing = open_rings(database, cipher, world.clock).shared.signing
    assert (signing.kid, signing.activated_at) == (key.kid, key.created_at)
    assert signing.sign(b"text") == key.sign(b"text")
    with pytest.raises(Conflict), database.write() as tx:
        store.insert_key(tx, cipher, new_key(world.clock.now()))
    database.close()
