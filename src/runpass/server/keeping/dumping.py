"""The database as lines of JSON: every table in one consistent read, the same from SQLite and from PostgreSQL.

A table begins with `{"table": …, "columns": [[name, type], …]}`; each line after it is a row, a JSON array. The types
stand in the dump, so that a later version can put it back into the schema of its own revision before it migrates.
"""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    Uuid,
    func,
    select,
)

from runpass.server.db.engine import Transaction
from runpass.server.db.schema import metadata
from runpass.server.db.schema.audit import audit_checkpoints, audit_events, audit_heads
from runpass.server.db.schema.columns import Json, UtcDateTime
from runpass.server.db.schema.tenancy import projects

ROWS_AT_ONCE: Final = 500
TYPES: Final[dict[str, Any]] = {
    "uuid": Uuid(),
    "time": UtcDateTime(),
    "bytes": LargeBinary(),
    "json": Json,
    "bool": Boolean(),
    "float": Float(),
    "int": BigInteger(),
    "text": Text(),
}
_KINDS: Final = (
    (Uuid, "uuid"),
    (UtcDateTime, "time"),
    (LargeBinary, "bytes"),
    (JSON, "json"),
    (Boolean, "bool"),
    (Float, "float"),
    (Integer, "int"),
)
_LAST: Final = (audit_heads, audit_checkpoints, audit_events)
"""In this order: an event is only taken at the end of its chain, so the heads go back to where the events begin."""


def dumped(tx: Transaction) -> Iterator[str]:
    """Give every table of the schema, what is referred to before what refers to it."""
    tables = [table for table in metadata.sorted_tables if table not in _LAST]
    for table in (*tables, *_LAST):
        columns = [(column.name, kind_of(column)) for column in table.columns]
        yield json.dumps({"table": table.name, "columns": columns})
        rows = tx.execution_options(yield_per=ROWS_AT_ONCE).execute(_all_of(table))
        for row in rows:
            yield json.dumps([encoded(value) for value in row], separators=(",", ":"), sort_keys=True)


def kind_of(column: Column[Any]) -> str:
    """Give the name of a column's type in a dump."""
    return next((name for kind, name in _KINDS if isinstance(column.type, kind)), "text")


def encoded(value: Any) -> Any:
    """Give a value as JSON has it."""
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def decoded(kind: str, value: Any) -> Any:
    """Give a value back. Raises `ValueError` or `TypeError` for one that is none of its kind."""
    if value is None:
        return None
    match kind:
        case "bytes":
            return base64.b64decode(value, validate=True)
        case "uuid":
            return UUID(value)
        case "time":
            return datetime.fromisoformat(value)
        case _:
            return value


def _all_of(table: Table) -> Select[Any]:
    if table is audit_heads:
        first = select(func.min(audit_events.c.seq) - 1).where(audit_events.c.chain == audit_heads.c.chain)
        seq = func.coalesce(first.scalar_subquery(), audit_heads.c.seq)
        return select(audit_heads.c.chain, seq, audit_heads.c.hash).order_by(audit_heads.c.chain)
    if table is audit_events:
        return select(table).order_by(table.c.chain, table.c.seq)
    if table is projects:
        return select(table).order_by(table.c.hierarchy)  # a project after the one that it is in
    return select(table).order_by(*table.primary_key.columns)
