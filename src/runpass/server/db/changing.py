"""Changing a row that was read before: only if nobody else has changed it in between."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table, update

from runpass.errors import Conflict
from runpass.server.db.engine import Transaction

_TICK = timedelta(microseconds=1)


def change_row(
    tx: Transaction, table: Table, row_id: UUID, values: Mapping[str, Any], *, seen: datetime, now: datetime
) -> datetime:
    """Change columns of the row that was last changed at `seen`; give its new `updated_at`, which is always later.

    Raises `Conflict` when the row has changed since it was read, or is gone.
    """
    later = max(now, seen + _TICK)
    unchanged = (table.c.id == row_id) & (table.c.updated_at == seen)
    if tx.execute(update(table).where(unchanged).values(**values, updated_at=later)).rowcount != 1:
        raise Conflict("this was changed by somebody else at the same moment", hint="read it again and repeat")
    return later
