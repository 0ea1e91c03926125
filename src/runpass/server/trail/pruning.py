"""Pruning: old events go, and a checkpoint stays that the rest of the chain is verified from."""

from datetime import datetime
from uuid import UUID

from runpass.clock import Clock
from runpass.errors import Conflict, InvalidInput
from runpass.server.audit import INSTANCE_CHAIN, AuditEvent, record
from runpass.server.db.engine import Database, Transaction
from runpass.server.trail import store
from runpass.server.trail.store import Checkpoint
from runpass.server.trail.verifying import PRUNED, Walk

BATCH = 5000
"""Events that go in one transaction, which keeps others waiting."""


def prune(database: Database, before: datetime, *, actor: str, clock: Clock, batch: int = BATCH) -> dict[UUID, int]:
    """Delete the events before a moment; give how many went from each chain.

    Each batch is one transaction: its checkpoint, its deletion and the event that tells of both. Raises `Conflict` at a
    chain that does not hold: its events are evidence; `InvalidInput` for a moment that is still to come.
    """
    if before > clock.now():
        raise InvalidInput.of("before", "must not be in the future")
    with database.read() as tx:
        chains = sorted(store.chains(tx))
    gone = dict.fromkeys(chains, 0)
    for chain in chains:
        while True:
            with database.write() as tx:
                pruned = _prune_batch(tx, chain, before, batch)
                if pruned is None:
                    break
                _leave_word(tx, pruned, actor, clock.now())
            gone[chain] += pruned.events
    return gone


def _prune_batch(tx: Transaction, chain: UUID, before: datetime, batch: int) -> Walk | None:
    """Give the way along what can go; None when nothing but word of earlier pruning can."""
    walk = Walk(chain, store.beginning(tx, chain))
    worth_it = False
    for row in store.following(tx, chain, walk.at.seq, batch):
        if row.at >= before:
            break
        fault = walk.step(row)
        if fault is not None:
            raise Conflict(
                f"event {fault.seq} of chain {chain} {fault.what}: nothing of it is pruned",
                hint="run: runpass audit verify",
            )
        worth_it = worth_it or row.action != PRUNED
    return walk if worth_it else None


def _leave_word(tx: Transaction, walk: Walk, actor: str, now: datetime) -> None:
    chain, last = walk.chain, walk.at
    store.insert_checkpoint(tx, Checkpoint(chain, last, now, actor, walk.events))
    if store.delete_up_to(tx, chain, last.seq) != walk.events:
        raise Conflict("the chain changed while it was pruned", hint="run: runpass audit verify")
    organization = None if chain == INSTANCE_CHAIN else chain
    detail = {"seq": str(last.seq), "hash": last.hash.hex(), "events": str(walk.events)}
    record(tx, AuditEvent(now, actor, PRUNED, "audit_chain", str(chain), organization, detail))
