"""`Database`: transactions on SQLite or PostgreSQL, opened for reading or for writing.

SQLite runs in WAL mode with `synchronous=FULL`; a writing transaction begins with `BEGIN IMMEDIATE`, so that it
waits for its turn at the start and can never fail to upgrade in the middle. One lock per process hands the turns out:
SQLite's own busy waiting sleeps and looks again, and may keep one thread waiting for very long.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import QueuePool

from runpass.errors import ConfigurationError, Conflict, RunpassError, Unavailable

Transaction = Connection
"""A store function takes one of these: it is inside a transaction and never begins or ends it."""


class Ending(Protocol):
    """What a writing transaction still has to do when everything else is done."""

    def finish(self, tx: Transaction) -> None:
        """Do it; the commit follows. An exception undoes the transaction."""
        ...


_E = TypeVar("_E", bound=Ending)

_WRITING = "runpass_writing"
_ENDINGS = "runpass_endings"
_SQLITE_CONFLICTS = frozenset(
    {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_FOREIGNKEY"}
)
_POSTGRESQL_CONFLICTS = frozenset({"23505", "23503", "23001"})
"""Unique, foreign key; and what PostgreSQL 18 calls a foreign key's `ON DELETE RESTRICT`."""

_WAITS = 50
_WAIT_SECONDS = 0.02
_NEVER = threading.Event()

_PAGE_CACHE_KIB = 256
"""Of each SQLite connection. 2 MiB, as is usual, would fill up in each of them; the system caches the file anyway."""


class Database:
    """Where transactions come from."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._turn = threading.Lock() if self.is_sqlite else nullcontext()
        # SQLite's transactions are snapshots anyway; PostgreSQL's default would let each statement see another state.
        self._reading = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Give a transaction that sees one consistent state and writes nothing."""
        with _translated(), self.engine.connect() as connection:
            reading = connection.execution_options(**self._reading)
            with reading.begin():
                yield reading

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Give a transaction that is committed at the end of the block and undone by any exception.

        Raises `Conflict` when another row stands in the way, `Unavailable` when the database cannot be written.
        """
        with _translated(), self._turn, self.engine.connect() as connection:
            writing = connection.execution_options(**{_WRITING: True})
            with writing.begin():
                endings: dict[type[Any], Ending] = {}
                writing.info[_ENDINGS] = endings
                try:
                    yield writing
                    for ending in endings.values():
                        ending.finish(writing)
                finally:
                    del writing.info[_ENDINGS]

    def close(self) -> None:
        """Close every connection; a transaction that is going on gets a second to end.

        What a server did in a thread may outlive the task that waited for it. Its connection would go back to a pool
        that is closed already, and stay open.
        """
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)  # noqa: S101 -- both kinds of engine have one
        for _ in range(_WAITS):
            if not pool.checkedout():
                break
            _NEVER.wait(_WAIT_SECONDS)
        self.engine.dispose()


def ending(tx: Transaction, kind: type[_E]) -> _E:
    """Give the transaction's own `kind`, made when it is first asked for; it finishes right before the commit.

    Locks that must be taken last belong there. Raises `RunpassError` outside of `Database.write`, where nothing would
    finish it.
    """
    endings: dict[type[Any], Ending] | None = tx.info.get(_ENDINGS)
    if endings is None:
        raise RunpassError(f"{kind.__name__} needs a transaction of Database.write: nothing would finish it here")
    found = endings.setdefault(kind, kind())
    assert isinstance(found, kind)  # noqa: S101 -- stored under its own type
    return found


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if _is_conflict(error):
            raise Conflict("this would contradict something that is already stored") from error
        # SECURITY: without its cause, because PostgreSQL's own words repeat the whole row.
        raise RunpassError(f"the database refused a row that we should not have made: {_broken_rule(error)}") from None
    except (OperationalError, InternalError, InterfaceError, PoolExhausted) as error:
        raise Unavailable("the database cannot be used right now", hint="see the server's log") from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise
        raise Unavailable("the database is damaged, or is none", hint="see the server's log") from error


def _is_conflict(error: IntegrityError) -> bool:
    """Tell what another row stands in the way of (unique, foreign key) from what no row may be: our own mistake."""
    if isinstance(error.orig, sqlite3.Error):
        # `ON DELETE RESTRICT` has the code of a trigger, so what it says must be read.
        return error.orig.sqlite_errorname in _SQLITE_CONFLICTS or str(error.orig) == "FOREIGN KEY constraint failed"
    return getattr(error.orig, "sqlstate", None) in _POSTGRESQL_CONFLICTS


def _broken_rule(error: IntegrityError) -> str:
    if isinstance(error.orig, sqlite3.Error):
        return str(error.orig)
    said = getattr(error.orig, "diag", None)
    return ", ".join(str(getattr(said, part, "")) for part in ("table_name", "column_name", "constraint_name"))


def open_database(url: str, *, pool_size: int = 16) -> Database:
    """Give the database at this SQLAlchemy URL (`sqlite:///file` or `postgresql://…`).

    Raises `ConfigurationError` for a URL of another kind. Connects lazily.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("the database URL cannot be read", hint="try sqlite:////var/lib/x.db") from error
    match parsed.get_backend_name():
        case "sqlite":
            return Database(_sqlite(parsed, pool_size))
        case "postgresql":
            return Database(_postgresql(parsed, pool_size))
        case other:
            raise ConfigurationError(f"the database kind {other} is not supported: use sqlite or postgresql")


def _postgresql(url: URL, pool_size: int) -> Engine:
    options = "-c timezone=UTC -c default_transaction_isolation=read\\ committed"
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": options, "connect_timeout": 10},
    )


def _sqlite(url: URL, pool_size: int) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_use_lifo=True,  # each connection has a page cache of its own: keep few of them warm
        hide_parameters=True,
        connect_args={"timeout": 10, "check_same_thread": False, "factory": _SqliteConnection},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "reset", _reset_sqlite)
    return engine


class _SqliteConnection(sqlite3.Connection):
    """Knows its open cursors.

    SECURITY: a SELECT that nobody read to its end outlives a ROLLBACK, and with it what the database looked like then:
    the next transaction on this connection would go on seeing the past, API keys that were deleted since included.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *arguments: Any) -> Any:
        """Give a cursor, and remember it for as long as somebody has it."""
        found: sqlite3.Cursor = super().cursor(*arguments)
        self._cursors.add(found)
        return found

    def close_cursors(self) -> None:
        """End every SELECT that is still going on."""
        for open_one in list(self._cursors):
            open_one.close()
        self._cursors.clear()


def _reset_sqlite(dbapi_connection: Any, *_: object) -> None:
    """Leave no SELECT behind when a connection goes back to the pool."""
    dbapi_connection.close_cursors()


def _prepare_sqlite(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # BEGIN is ours: the driver would begin too late and never IMMEDIATE
    cache = f"cache_size=-{_PAGE_CACHE_KIB}"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000", cache):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def insert_into(tx: Transaction, table: Table) -> Any:
    """Give an INSERT that knows `ON CONFLICT`, which both databases spell alike and SQLAlchemy does not share."""
    return sqlite.insert(table) if tx.dialect.name == "sqlite" else postgresql.insert(table)
