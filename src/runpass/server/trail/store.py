"""Every query on the audit trail that does not append to it."""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Row, delete, select

from runpass.server.audit import BEGINNING, INSTANCE_CHAIN
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.audit import audit_checkpoints, audit_events, audit_heads
from runpass.server.db.schema.tenancy import organizations

PAGE = 1000
"""Events that are read at once."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a chain: an event's number and its hash."""

    seq: int
    hash: bytes


START = Mark(0, BEGINNING)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a chain was pruned: at the last event that was deleted."""

    chain: UUID
    mark: Mark
    at: datetime
    actor: str
    events: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events of a chain a reader asks for: numbers below `before`, newest first."""

    limit: int
    before: int | None = None
    action: str | None = None
    subject_id: str | None = None
    actor: str | None = None
    """No index leads to it: whoever asks for it says with `after` how far back to look."""
    after: int | None = None
    """Numbers above this one alone."""
    since: datetime | None = None
    until: datetime | None = None


def chains(tx: Transaction) -> set[UUID]:
    """Give every chain that anything speaks of."""
    tables = (audit_heads, audit_checkpoints, audit_events)
    return {chain for table in tables for chain in _chains_of(tx, table.c.chain)}


def chains_to_be(tx: Transaction) -> set[UUID]:
    """Give the chains that must be there: an organization has one from its first moment on."""
    return set(_chains_of(tx, organizations.c.id))


def _chains_of(tx: Transaction, column: Column[UUID]) -> Iterator[UUID]:
    """Give the different chains in a column, one look into its index for each: there may be millions of rows."""
    in_order = select(column).order_by(column).limit(1)
    chain = tx.execute(in_order.where(column >= INSTANCE_CHAIN)).scalar_one_or_none()
    while chain is not None:
        yield chain
        chain = tx.execute(in_order.where(column > chain)).scalar_one_or_none()


def head(tx: Transaction, chain: UUID) -> Mark | None:
    """Give the last place of a chain, as appending left it."""
    row = tx.execute(select(audit_heads).where(audit_heads.c.chain == chain)).one_or_none()
    return None if row is None else Mark(row.seq, row.hash)


def newest_checkpoint(tx: Transaction, chain: UUID) -> Checkpoint | None:
    """Give the checkpoint that a chain begins after."""
    mine = select(audit_checkpoints).where(audit_checkpoints.c.chain == chain)
    row = tx.execute(mine.order_by(audit_checkpoints.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else Checkpoint(chain, Mark(row.seq, row.hash), row.at, row.actor, row.events)


def beginning(tx: Transaction, chain: UUID) -> Mark:
    """Give the place right before a chain's first event: its newest checkpoint, if it was ever pruned."""
    checkpoint = newest_checkpoint(tx, chain)
    return START if checkpoint is None else checkpoint.mark


def following(tx: Transaction, chain: UUID, after: int, limit: int = PAGE) -> Sequence[Row[Any]]:
    """Give the events of a chain whose numbers are greater, in order."""
    mine = (audit_events.c.chain == chain) & (audit_events.c.seq > after)
    return tx.execute(select(audit_events).where(mine).order_by(audit_events.c.seq).limit(limit)).all()


def newest(tx: Transaction, chain: UUID, wanted: Wanted) -> Sequence[Row[Any]]:
    """Give a page of events, newest first."""
    query = select(audit_events).where(audit_events.c.chain == chain)
    events = audit_events.c
    asked: tuple[tuple[Column[Any], Callable[[Any, Any], Any], object], ...] = (
        (events.seq, operator.lt, wanted.before),
        (events.seq, operator.gt, wanted.after),
        (events.action, operator.eq, wanted.action),
        (events.subject_id, operator.eq, wanted.subject_id),
        (events.actor, operator.eq, wanted.actor),
        (events.at, operator.ge, wanted.since),
        (events.at, operator.le, wanted.until),
    )
    query = query.where(*(is_so(column, value) for column, is_so, value in asked if value is not None))
    return tx.execute(query.order_by(audit_events.c.seq.desc()).limit(wanted.limit)).all()


def moment_of(tx: Transaction, chain: UUID, seq: int) -> datetime | None:
    """Give the moment of one event; None where it is missing."""
    mine = (audit_events.c.chain == chain) & (audit_events.c.seq == seq)
    return tx.execute(select(audit_events.c.at).where(mine)).scalar_one_or_none()


def insert_checkpoint(tx: Transaction, checkpoint: Checkpoint) -> None:
    """Store a checkpoint; from now on the events up to it can be deleted."""
    tx.execute(
        audit_checkpoints.insert().values(
            chain=checkpoint.chain,
            seq=checkpoint.mark.seq,
            hash=checkpoint.mark.hash,
            at=checkpoint.at,
            actor=checkpoint.actor,
            events=checkpoint.events,
        )
    )


def delete_up_to(tx: Transaction, chain: UUID, seq: int) -> int:
    """Delete the events up to this number; how many there were."""
    return tx.execute(delete(audit_events).where(audit_events.c.chain == chain, audit_events.c.seq <= seq)).rowcount


def in_order(tx: Transaction, chain: UUID) -> Iterator[Row[Any]]:
    """Give every event of a chain in order, page by page. Raises `ValueError` at a row that cannot be read."""
    last, limit = -1, PAGE
    while True:
        try:
            rows = following(tx, chain, last, limit)
        except ValueError:
            if limit == 1:
                raise
            limit = 1  # somewhere in this page is a row that was damaged: come as close to it as possible
            continue
        yield from rows
        if not rows:
            return
        last = rows[-1].seq
