"""Servers that look after signing keys, on the database of a test."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from factories import World
from runpass.server.audit import INSTANCE_CHAIN
from runpass.server.db.schema.audit import audit_events
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.key_life import want_rotation
from runpass.server.issuer.keys import SHARED
from runpass.server.issuer.rings import Rings, open_rings
from runpass.server.issuer.rotation import Policy

POLICY = Policy(algorithm=Algorithm.ES256)  # whose keys are made quickly
SECOND = timedelta(seconds=1)


def start_rings(world: World, **changes: Any) -> Rings:
    """Start a server on the world's database; `changes` are of its policy."""
    return open_rings(world.database, world.cipher, world.clock, replace(POLICY, **changes))


def states(rings: Rings) -> list[str]:
    return [key.state.value for key in rings.shared.current.keys]


def rotate(world: World, *servers: Rings) -> None:
    """Let the active key be followed by the next one; all servers look afterwards."""
    world.clock.advance(SECOND)
    want_rotation(world.database, world.clock, SHARED, "operator:test")
    for _ in range(3):  # make, publish
        servers[0].tend()
    world.clock.advance(POLICY.publish_ahead)
    for rings in servers:
        rings.tend()
        rings.refresh()


def actions(world: World) -> list[tuple[str, str]]:
    query = select(audit_events).where(audit_events.c.chain == INSTANCE_CHAIN).order_by(audit_events.c.seq)
    with world.database.read() as tx:
        return [(row.action, row.actor) for row in tx.execute(query) if row.subject_kind == "signing_key"]
