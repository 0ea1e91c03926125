"""Looking for events by whatever a reader knows of them, without reading a long trail from one end to the other.

Numbers of a chain and moments of its events go up together, but for transactions that took long. So a moment is found
by halving the numbers, and an event's actor is looked for among a limited number of events at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from runpass.server.db.engine import Transaction
from runpass.server.trail import store
from runpass.server.trail.store import Wanted

MOST_LOOKED_AT: Final = 20_000
"""Events that one look for an actor goes through."""
_OUT_OF_ORDER: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Found:
    """A part of what was asked for, newest first."""

    events: Sequence[Row[Any]]
    before: int | None
    """From where to go on; None at the end."""


def look(tx: Transaction, chain: UUID, wanted: Wanted) -> Found:
    """Give the newest events that fit and where to go on: where many do not fit, fewer than `limit`, or none."""
    head, start = store.head(tx, chain), store.beginning(tx, chain).seq
    top = min(wanted.before or head.seq + 1, head.seq + 1) if head else 0
    if wanted.until is not None:
        top = min(top, _first_at(tx, chain, (start + 1, top), wanted.until + _OUT_OF_ORDER))
    bottom = start
    if wanted.since is not None:
        bottom = _first_at(tx, chain, (start + 1, top), wanted.since - _OUT_OF_ORDER) - 1
    floor = max(bottom, top - 1 - MOST_LOOKED_AT) if wanted.actor is not None else bottom
    rows = store.newest(tx, chain, replace(wanted, limit=wanted.limit + 1, before=top, after=floor))
    if len(rows) > wanted.limit:
        return Found(rows[: wanted.limit], rows[wanted.limit - 1].seq)
    return Found(rows, floor + 1 if floor > bottom else None)


def _first_at(tx: Transaction, chain: UUID, within: tuple[int, int], at: datetime) -> int:
    """Give the first number of a half-open range whose event is not before this moment; its end if all are."""
    low, high = within
    while low < high:
        middle = (low + high) // 2
        moment = store.moment_of(tx, chain, middle)
        if moment is not None and moment < at:
            low = middle + 1
        else:
            high = middle
    return low
