"""The end of an issuer that its organization no longer wants: its keys sign no more, and go once nothing needs them.

Pure, but for who has chosen: this room knows nothing of organizations' policies, and asks.
"""

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from runpass.server.db.engine import Transaction
from runpass.server.issuer.keys import KeyRecord, KeyState
from runpass.server.issuer.rotation import ALWAYS, Actions, Policy, needed_until

Chosen = Callable[[Transaction, Collection[UUID]], AbstractSet[UUID]]
"""Gives those of some organizations that want an issuer of their own at this moment."""
SETTLED: Final = timedelta(minutes=1)
"""A key is made before the choice is stored that asks for it: one that is younger than this is left alone."""


def everybody(_: Transaction, organizations: Collection[UUID]) -> AbstractSet[UUID]:
    """Give all of them."""
    return set(organizations)


def decide_end(keys: Sequence[KeyRecord], now: datetime, policy: Policy) -> Actions:
    """Give what is to be done with all keys of an unwanted issuer that are not gone."""
    due = [key for key in keys if _ends_at(key, policy) <= now]
    active = next((key.kid for key in due if key.state is KeyState.ACTIVE), None)
    is_over = active is not None or all(key.state is not KeyState.ACTIVE for key in keys)
    gone = (key.kid for key in due if key.state is KeyState.RETIRING or (is_over and key.state is KeyState.UPCOMING))
    return Actions(destroy=tuple(gone), retire=active)


def next_end(keys: Sequence[KeyRecord], policy: Policy) -> datetime | None:
    """Give from when on `decide_end` finds something to do; None when that is never."""
    is_over = all(key.state is not KeyState.ACTIVE for key in keys)
    waiting = (key for key in keys if is_over or key.state is not KeyState.UPCOMING)
    return min((_ends_at(key, policy) for key in waiting), default=None)


def _ends_at(key: KeyRecord, policy: Policy) -> datetime:
    match key.state:
        case KeyState.ACTIVE:
            return (key.activated_at or key.created_at) + SETTLED
        case KeyState.RETIRING:
            return needed_until(key, policy)
        case _:
            return ALWAYS
