"""Verifying the chains: every event has the hash of its content and of the event before it, and none is missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from runpass.server.audit import INSTANCE_CHAIN, link_hash
from runpass.server.db.engine import Database, Transaction
from runpass.server.trail import store
from runpass.server.trail.store import Checkpoint, Mark

PRUNED = "audit.pruned"
"""The event that a chain's checkpoint needs, with its `seq` and `hash`: what nobody recorded, nobody pruned."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place where a chain does not hold; `event_id` is empty where an event is missing."""

    seq: int
    what: str
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What verifying a chain found. `last` is the last place that holds."""

    chain: UUID
    events: int
    first_seq: int
    last: Mark
    checkpoint: Checkpoint | None
    fault: Fault | None


class Walk:
    """Goes along a chain, event by event, until something does not hold."""

    def __init__(self, chain: UUID, start: Mark) -> None:
        self.chain = chain
        self._start = start
        self.at = start
        self.events = 0

    def step(self, row: Row[Any]) -> Fault | None:
        """Take the next event; give what is wrong with it."""
        expected = self.at.seq + 1
        if row.seq <= self._start.seq:
            return Fault(row.seq, "stands before the chain's checkpoint", row.id)
        if row.seq != expected:
            return Fault(expected, f"is missing, the next one is {row.seq}")
        if (row.organization_id or INSTANCE_CHAIN) != self.chain:
            return Fault(row.seq, "speaks of another organization than its chain's", row.id)
        if link_hash(self.at.hash, dict(row._mapping)) != row.hash:  # noqa: SLF001 -- SQLAlchemy's public name for it
            return Fault(row.seq, "was changed, moved or inserted: its hash is another one", row.id)
        self.at = Mark(row.seq, row.hash)
        self.events += 1
        return None


def verify(database: Database, known: Mapping[UUID, Mark] | None = None) -> list[ChainReport]:
    """Give a report for each chain, also for one that should be there and is not.

    `known` are places that the chains had earlier, kept where nobody could change them: then a chain that was written
    anew as a whole, or cut and its head with it, is found as well.
    """
    expected = known or {}
    with database.read() as tx:
        chains = store.chains(tx) | store.chains_to_be(tx) | set(expected)
    return [_verify_chain(database, chain, expected.get(chain)) for chain in sorted(chains)]


def _verify_chain(database: Database, chain: UUID, known: Mark | None) -> ChainReport:
    with database.read() as tx:
        checkpoint = store.newest_checkpoint(tx, chain)
        start = store.START if checkpoint is None else checkpoint.mark
        walk = Walk(chain, start)
        fault = _differs(start, known) or _go_along(tx, walk, checkpoint, known) or _at_the_end(tx, walk, known)
    return ChainReport(chain, walk.events, start.seq + 1, walk.at, checkpoint, fault)


def _go_along(tx: Transaction, walk: Walk, checkpoint: Checkpoint | None, known: Mark | None) -> Fault | None:
    confirmed = checkpoint is None
    try:
        for row in store.in_order(tx, walk.chain):
            fault = walk.step(row) or _differs(walk.at, known)
            if fault is not None:
                return fault
            confirmed = confirmed or (checkpoint is not None and _speaks_of(row, checkpoint))
    except (ValueError, TypeError, AttributeError):  # a column holds what no event of ours ever did
        return Fault(walk.at.seq + 1, "cannot be read")
    if checkpoint is not None and not confirmed:
        return Fault(checkpoint.mark.seq, f"has a checkpoint that no event {PRUNED} speaks of")
    return None


def _speaks_of(row: Row[Any], checkpoint: Checkpoint) -> bool:
    told = (row.detail.get("seq"), row.detail.get("hash"))
    return row.action == PRUNED and told == (str(checkpoint.mark.seq), checkpoint.mark.hash.hex())


def _differs(at: Mark, known: Mark | None) -> Fault | None:
    if known is None or at.seq != known.seq or at.hash == known.hash:
        return None
    return Fault(at.seq, "is not the event that was there before")


def _at_the_end(tx: Transaction, walk: Walk, known: Mark | None) -> Fault | None:
    head = store.head(tx, walk.chain)
    last = walk.at
    if head is None and last == store.START:
        return Fault(1, "is missing, and with it the whole chain")
    if head is None:
        return Fault(last.seq, "is the last event, but the chain's head is missing")
    if head.seq > last.seq:
        return Fault(last.seq + 1, f"is missing, and all up to {head.seq}")
    if head != last:
        return Fault(last.seq, "is the last event, but the chain's head says otherwise")
    if known is not None and known.seq > last.seq:
        return Fault(last.seq + 1, f"is missing, and all up to {known.seq}, which was there before")
    return None
