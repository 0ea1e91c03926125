"""A pytest plugin: no statement of ours may read a whole table, on either database.

Whatever `runpass` sends to a database while tests run in this process is recorded, each statement once with one set
of its parameters. At the end of the test it is explained: by SQLite on the schema as a server has it, by PostgreSQL
with `enable_seqscan=off` on a database that holds a few thousand rows and was analyzed. So a plan depends neither on
what a test left in its own tables nor on whether they are still there. A scan fails the test.

Read whole may only be what stands in `surface/small_tables.toml`. Not recorded: what tests themselves ask, and
migrations, which rewrite whole tables because that is their work, as it is a backup's and that of a new master key.
"""

import re
import sqlite3
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from bench.dataset import Scale, fill
from sqlalchemy import URL, Connection, Constraint, Engine, Index, PrimaryKeyConstraint, UniqueConstraint, event
from sqlalchemy.dialects import postgresql

import runpass
from runpass.server.db.engine import open_database
from runpass.server.db.migrate import prepare
from runpass.server.db.schema import metadata

HERE = Path(__file__).parent
SMALL = tomllib.loads((HERE / "surface" / "small_tables.toml").read_text())
SMALL_TABLES = {entry["name"]: entry["why"] for entry in SMALL["table"]}
SMALL_INDEXES = {entry["name"]: entry["why"] for entry in SMALL["index"]}
OURS = f"{Path(runpass.__file__).parent}/"
WHOLE_ON_PURPOSE = tuple(
    f"{OURS}server/{place}"
    for place in ("db/migrations/", "keeping/reencrypting.py", "keeping/dumping.py", "keeping/settling.py")
)
SOMETHING = Scale(organizations=30, large_projects=100, large_deployments=500, with_live=True)
EXPLAINABLE = re.compile(r"\s*(SELECT|UPDATE|DELETE|WITH)\b|\s*INSERT\b.*\bSELECT\b", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """One statement as the driver got it, and where it was sent from. The shape is the text without its numbers."""

    dialect: str
    shape: str
    text: str
    parameters: Any
    where: str
    url: URL


@dataclass(frozen=True)
class Scan:
    """A table, or a whole index of it, that a statement reads from one end to the other."""

    statement: Statement
    name: str
    plan: str

    def __str__(self) -> str:
        said = self.statement
        return f"{said.dialect} reads all of {self.name} for {said.where}:\n{said.text}\n{self.plan}"


def shape_of(text: str) -> str:
    """Give the statement's text with every list of parameters as long as any other."""
    nameless = re.sub(r"%\(\w+\)s(::\w+)?", "?", text)
    return re.sub(r"\?(, \?)+", "?, ...", nameless)


class Recorder:
    """Listens to every engine of this process."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()
        self._shapes: set[tuple[str, str]] = set()
        self._pending: list[Statement] = []
        self._listeners: list[dict[tuple[str, str], Statement]] = []

    def start(self) -> None:
        event.listen(Engine, "before_cursor_execute", self._on_execute)

    def stop(self) -> None:
        event.remove(Engine, "before_cursor_execute", self._on_execute)

    @contextmanager
    def recording(self) -> Iterator[dict[tuple[str, str], Statement]]:
        """Give every statement of the block, known already or not, by dialect and shape."""
        found: dict[tuple[str, str], Statement] = {}
        self._listeners.append(found)
        self._known.clear()
        try:
            yield found
        finally:
            self._listeners.remove(found)

    def take(self) -> list[Statement]:
        """Give what is new since the last time."""
        taken, self._pending = self._pending, []
        return taken

    def forget(self) -> None:
        """Forget what is new: it will be recorded when it is executed again."""
        for statement in self.take():
            self._shapes.discard((statement.dialect, statement.shape))
        self._known.clear()

    def _on_execute(
        self,
        connection: Connection,
        _cursor: Any,
        text: str,
        parameters: Any,
        _context: Any,
        many: bool,  # noqa: FBT001
    ) -> None:
        dialect = connection.dialect.name
        if (dialect, text) in self._known or not EXPLAINABLE.match(text):
            return
        where = _sender()
        if where is None:
            return
        self._known.add((dialect, text))
        first = parameters[0] if many else parameters
        statement = Statement(dialect, shape_of(text), text, first, where, connection.engine.url)
        for listener in self._listeners:
            listener.setdefault((dialect, statement.shape), statement)
        if (dialect, statement.shape) not in self._shapes:
            self._shapes.add((dialect, statement.shape))
            self._pending.append(statement)


def _sender() -> str | None:
    """Give the line that sends a statement: the first that is not SQLAlchemy's. None when it is not the server's."""
    frame = sys._getframe(2)  # noqa: SLF001 -- `inspect.stack` reads source files and takes milliseconds
    while frame is not None and ("/sqlalchemy/" in frame.f_code.co_filename or frame.f_code.co_filename == "<string>"):
        frame = frame.f_back
    if frame is None:
        return None
    file = frame.f_code.co_filename
    if not file.startswith(OURS) or file.startswith(WHOLE_ON_PURPOSE):
        return None
    function = frame.f_code.co_qualname.partition(".<locals>")[0]
    return f"{file.removeprefix(OURS)}:{frame.f_lineno} {function}"


class Explainer:
    """Databases with our schema, one of each kind, on which statements are explained and never executed."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="runpass-plans-")
        self._sqlite: sqlite3.Connection | None = None
        self._postgresql: dict[tuple[str | None, int | None], psycopg.Connection[Any]] = {}

    def scans(self, statement: Statement) -> list[Scan]:
        """Give what the statement reads whole although it is not on the list."""
        if statement.dialect == "sqlite":
            plan = self._of_sqlite(statement)
            names, text = sqlite_scans(plan, statement.text), "\n".join(plan)
        else:
            tree = self._of_postgresql(statement)
            names, text = postgresql_scans(tree), "\n".join(_lines(tree))
        return [Scan(statement, name, text) for name in (*names, *unindexed_references(statement.text))]

    def close(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
        for connection in self._postgresql.values():
            with suppress(psycopg.Error):
                connection.close()
        self._directory.cleanup()

    def _of_sqlite(self, statement: Statement) -> list[str]:
        if self._sqlite is None:
            file = Path(self._directory.name) / "plans.db"
            database = open_database(f"sqlite:///{file}")
            prepare(database)
            database.close()
            self._sqlite = sqlite3.connect(file, check_same_thread=False)
        rows = self._sqlite.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters)
        return [row[3] for row in rows]

    def _of_postgresql(self, statement: Statement) -> Any:
        server = (statement.url.host, statement.url.port)
        if server not in self._postgresql:
            self._postgresql[server] = _filled_postgresql(statement.url)
        with self._postgresql[server].cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.text}", statement.parameters)
            row = cursor.fetchone()
        return row[0][0]["Plan"] if row else {}


def _filled_postgresql(beside: URL) -> psycopg.Connection[Any]:
    """Make a database with a few thousand rows on the server where another one is."""
    name = f"plans_{uuid4().hex}"
    plain = beside.set(drivername="postgresql")
    with psycopg.connect(
        plain.set(database="postgres").render_as_string(hide_password=False), autocommit=True
    ) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = plain.set(database=name).render_as_string(hide_password=False)
    database = open_database(url)
    prepare(database)
    fill(database, SOMETHING)
    database.close()
    # Values are written into the text: a plan is made for them, as the server makes it for the first executions.
    connection = psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor)
    connection.execute("SET enable_seqscan = off")
    return connection


def sqlite_scans(plan: list[str], text: str) -> list[str]:
    """Give the tables and indexes that SQLite reads whole. An index of its own making is read whole to be made."""
    aliases = dict(re.findall(r"\b(\w+) AS \"?(\w+)\"?", text))
    named = {alias: table for table, alias in aliases.items() if table in known_tables()}
    found = []
    for line in plan:
        made = re.match(r"SEARCH (\w+) USING AUTOMATIC", line)
        scan = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", line)
        if made or scan:
            table = (made or scan)[1]
            _add(found, named.get(table, table), scan[2] if scan else None)
    return found


def postgresql_scans(node: Mapping[str, Any]) -> list[str]:
    """Give the tables and indexes that PostgreSQL reads whole.

    So is an index that is read without a condition, or with none on its first column.
    """
    found: list[str] = []
    kind = node.get("Node Type", "")
    if kind == "Seq Scan":
        _add(found, node["Relation Name"], None)
    if "Index" in kind and kind.endswith("Scan") and not _looks_up(node["Index Name"], node.get("Index Cond", "")):
        _add(found, table_of(node["Index Name"]), node["Index Name"])
    for inner in node.get("Plans", ()):
        found += postgresql_scans(inner)
    return found


def _lines(node: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    said = [str(node[key]) for key in ("Node Type", "Relation Name", "Index Name") if key in node]
    said += [f"{key}: {node[key]}" for key in ("Index Cond", "Filter") if key in node]
    yield "  " * depth + ", ".join(said)
    for inner in node.get("Plans", ()):
        yield from _lines(inner, depth + 1)


def _add(found: list[str], table: str, index: str | None) -> None:
    """Note a scan, unless it is of a small thing, or of none of our tables (a subquery, the database's catalog)."""
    if table in known_tables() and table not in SMALL_TABLES and index not in SMALL_INDEXES:
        found.append(f"{table} through {index}" if index else table)


@cache
def known_tables() -> frozenset[str]:
    return frozenset(metadata.tables) | {"alembic_version"}


@cache
def columns_by_index() -> dict[str, tuple[str, list[str]]]:
    """Give table and columns of every index, those of primary keys and unique constraints included."""
    found = {}
    for table in metadata.tables.values():
        keys = (item for item in table.constraints if isinstance(item, PrimaryKeyConstraint | UniqueConstraint))
        for item in (*table.indexes, *keys):
            names = [column.name for column in item.columns]
            found[metadata_name(item)] = (table.name, names)
    return found


def metadata_name(item: Index | Constraint) -> str:
    """Give the name that the database knows, which the naming convention may have made."""
    return str(postgresql.dialect().identifier_preparer.format_constraint(item))


def table_of(index: str) -> str:
    """Give the table of an index; for one that is not ours, the name itself."""
    return columns_by_index().get(index, (index, []))[0]


def _looks_up(index: str, condition: str) -> bool:
    """Whether a condition is about the index's first column: one about a later column still reads all of it."""
    _, columns = columns_by_index().get(index, ("", [""]))
    return bool(condition) and re.search(rf"\b{columns[0]}\b", condition) is not None


def unindexed_references(text: str) -> list[str]:
    """Give what a deletion reads whole, unseen by any plan, to learn that nothing refers to the row."""
    deletion = re.match(r"\s*DELETE FROM (\w+)", text)
    if deletion is None:
        return []
    partial = {metadata_name(item) for item in _indexes() if item.dialect_options["sqlite"]["where"] is not None}
    leading = {(table, names[0]) for name, (table, names) in columns_by_index().items() if name not in partial}
    references = {
        (table.name, key.parent.name)
        for table in metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == deletion[1]
    }
    return [f"{table}, to know that its {column} refers to nothing deleted" for table, column in references - leading]


def _indexes() -> Iterator[Index]:
    for table in metadata.tables.values():
        yield from table.indexes


RECORDER = Recorder()
EXPLAINER = Explainer()


def pytest_configure() -> None:
    RECORDER.start()


def pytest_unconfigure() -> None:
    RECORDER.stop()
    EXPLAINER.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Explain what the test and its fixtures sent; after a failure, whoever sends it next will do."""
    try:
        result = yield
    except BaseException:
        RECORDER.forget()
        raise
    check(RECORDER.take())
    return result


def check(statements: list[Statement]) -> None:
    """Fail the test that sent one of these if it reads a whole table."""
    scans = [str(scan) for statement in statements for scan in EXPLAINER.scans(statement)]
    if scans:
        pytest.fail("\n\n".join(scans), pytrace=False)
