"""Restoring a backup into an empty place. Everything is read and verified before the first thing is written."""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import TableClause, column, inspect, table
from sqlalchemy.exc import SQLAlchemyError

from runpass.errors import ConfigurationError, Conflict, InvalidInput
from runpass.private_files import replace_private
from runpass.server.db.engine import Database, Transaction, insert_into
from runpass.server.db.migrate import create_at, is_known
from runpass.server.db.schema.instance import instance
from runpass.server.keeping.archive import Entry, FilePiece, Manifest, TableBegins, read_archive
from runpass.server.keeping.dumping import ROWS_AT_ONCE, TYPES, decoded
from runpass.server.keeping.sealed_stream import FileKey

RESTORED_FROM: Final = "restored_from"
"""The fact that tells the next server that it opens a restored database: when the backup was made."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a verified backup holds besides the database."""

    manifest: Manifest
    files: Mapping[str, bytes]
    rows: Mapping[str, int] = field(default_factory=dict)


def verify_archive(path: Path, key: FileKey) -> Contents:
    """Read a whole backup, every value of it; give what it holds. Raises `InvalidInput`, `ConfigurationError`."""
    entries = _entries(path, key)
    manifest = next(entries)
    if not isinstance(manifest, Manifest):
        raise InvalidInput("the backup does not say what it is of")
    files: dict[str, bytearray] = {}
    rows: dict[str, int] = {}
    begun: TableBegins | None = None
    for entry in entries:
        if isinstance(entry, FilePiece):
            files.setdefault(entry.name, bytearray()).extend(entry.content)
        elif isinstance(entry, TableBegins):
            if not all(kind in TYPES for _, kind in entry.columns):
                raise InvalidInput(f"the backup has a column of {entry.name} that this version does not know")
            begun = entry
            rows[entry.name] = 0
        elif isinstance(entry, list) and begun is not None:
            _row(begun, entry)
            rows[begun.name] += 1
        else:
            raise InvalidInput("the backup is not in order")
    if not is_known(manifest.revision):
        raise ConfigurationError(
            f"the backup is of revision {manifest.revision}, which is newer than this version of runpass",
            hint=f"install runpass {manifest.version} or newer",
        )
    return Contents(manifest, {name: bytes(content) for name, content in files.items()}, rows)


def restore_database(database: Database, path: Path, key: FileKey, contents: Contents) -> None:
    """Put the database of a verified backup into an empty one, all of it or nothing, at the revision it had.

    Raises `Conflict` when there is anything in it.
    """
    try:
        with database.write() as tx:
            if inspect(tx).get_table_names():
                raise Conflict("the database is not empty", hint="a backup is restored into an empty one only")
            create_at(tx, contents.manifest.revision)
            _insert_all(tx, _entries(path, key))
            note_restored(tx, contents.manifest.made_at)
    except SQLAlchemyError as error:
        # SECURITY: without its cause, whose words may repeat a row.
        raise InvalidInput(f"the backup does not fit its schema ({type(error).__name__})") from None


def note_restored(tx: Transaction, made_at: str) -> None:
    """Leave word for the next server."""
    word = insert_into(tx, instance).values(name=RESTORED_FROM, value=made_at)
    tx.execute(word.on_conflict_do_update(index_elements=["name"], set_={"value": made_at}))


def _insert_all(tx: Transaction, entries: Iterator[Entry]) -> None:
    batch = _Batch(tx)
    for entry in entries:
        if isinstance(entry, TableBegins):
            batch.begin(entry)
        elif isinstance(entry, list):
            batch.add(entry)
    batch.flush()


class _Batch:
    """Rows of one table that go into the database together."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._begun: TableBegins | None = None
        self._table: TableClause | None = None
        self._rows: list[dict[str, Any]] = []

    def begin(self, entry: TableBegins) -> None:
        self.flush()
        self._begun = entry
        self._table = table(entry.name, *(column(name, TYPES[kind]) for name, kind in entry.columns))

    def add(self, values: list[Any]) -> None:
        assert self._begun is not None  # noqa: S101 -- the archive was verified before
        self._rows.append(_row(self._begun, values))
        if len(self._rows) >= ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        if self._table is not None and self._rows:
            self._tx.execute(self._table.insert(), self._rows)
        self._rows = []


def _row(begun: TableBegins, values: list[Any]) -> dict[str, Any]:
    try:
        named = zip(begun.columns, values, strict=True)
        return {name: decoded(kind, value) for (name, kind), value in named}
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"the backup has a row of {begun.name} that is none") from error


def _entries(path: Path, key: FileKey) -> Iterator[Entry]:
    try:
        with path.open("rb") as file:
            yield from read_archive(file, key)
    except OSError as error:
        raise ConfigurationError(f"the file {path} cannot be read: {error.strerror}") from error


def require_empty(database: Database) -> None:
    """Raise `Conflict` when there is anything in the database."""
    with database.read() as tx:
        if inspect(tx).get_table_names():
            raise Conflict("the database is not empty", hint="a backup is restored into an empty one only")


def place_file(path: Path, content: bytes) -> None:
    """Put a file of a backup where it belongs, for its owner alone.

    Raises `Conflict` when another one stands there: a key that somebody may still need is never overwritten.
    """
    try:
        if path.exists():
            if not hmac.compare_digest(path.read_bytes(), content):
                raise Conflict(f"{path} is there already, and is another one than that of the backup")
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_private(path, content)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
