"""A database of every earlier revision, with rows in it, becomes one of this version and is served: no row is lost."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import column, inspect, select, table

from factories import MASTER_KEY, MovingClock, World
from runpass.errors import ConfigurationError
from runpass.secret import Secret
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, Transaction, open_database
from runpass.server.db.master_key import check_master_key
from runpass.server.db.migrate import SCRIPTS, create_at, current, head, prepare, upgrade
from runpass.server.db.schema import metadata
from runpass.server.deployments.inputs import inputs_of
from runpass.server.keeping.dumping import TYPES, kind_of
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings
from runpass.server.trail.verifying import verify
from runpass.server.variables.model import VariableScope
from runpass.server.variables.store import list_variables
from sealed_world import VALUE, Sealed, sealed_world

REVISIONS = sorted(script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions())
ROWS_THAT_COME = {"audit_heads"}
"""Tables that a migration fills by itself."""


@dataclass(frozen=True)
class Filled:
    """A database of this version with something in every room."""

    sealed: Sealed
    rows: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def filled(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    file = tmp_path_factory.mktemp("filled") / "filled.db"
    shutil.copyfile(migrated_sqlite_file, file)
    world = World(open_database(f"sqlite:///{file}"), Cipher(MASTER_KEY), MovingClock())
    check_master_key(world.database, world.cipher)
    tenant = world.tenant("acme")
    tenant.project("child", tenant.project("parent"))
    sealed = sealed_world(world, tenant)
    with world.database.read() as tx:
        rows = {
            item.name: [dict(row) for row in tx.execute(select(item)).mappings()] for item in metadata.sorted_tables
        }
    yield Filled(sealed, rows)
    world.database.close()


def fill(tx: Transaction, rows: dict[str, list[dict[str, Any]]]) -> set[str]:
    """Put rows into the tables and columns that there were; give the names of these tables."""
    there = set(inspect(tx).get_table_names())
    last = ("audit_heads", "audit_events")
    names = [item.name for item in metadata.sorted_tables if item.name in there and item.name not in last]
    for name in (*names, *(name for name in last if name in there)):
        had = {item["name"] for item in inspect(tx).get_columns(name)}
        columns = [(item.name, kind_of(item)) for item in metadata.tables[name].columns if item.name in had]
        stored = [{key: row[key] for key, _ in columns} for row in in_order(name, rows[name])]
        if name == "audit_heads":
            stored = [{**row, "seq": 0, "hash": bytes(32)} for row in stored]
        if stored:
            tx.execute(table(name, *(column(key, TYPES[kind]) for key, kind in columns)).insert(), stored)
    return there


def in_order(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give rows as they were made: a project after its parent, an event after the one before it."""
    key = {"projects": "hierarchy", "audit_events": "seq"}.get(name)
    return sorted(rows, key=lambda row: row[key]) if key else rows


def contents(database: Database) -> dict[str, int]:
    with database.read() as tx:
        return {item.name: len(tx.execute(select(item)).all()) for item in metadata.sorted_tables}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_every_revision_is_refused_until_it_is_migrated_and_then_served(
    filled: Filled, empty_url: str, tmp_path: Path, revision: str
):
    database = open_database(empty_url)
    with database.write() as tx:
        create_at(tx, revision)
        there = fill(tx, filled.rows)
    assert current(database) == revision
    if revision != head():
        with pytest.raises(ConfigurationError, match=f"is at revision {revision}, this version needs") as refused:
            prepare(database)
        assert refused.value.hint == "run: runpass migrate"
    assert upgrade(database) == head()

    expected = {name: len(rows) if name in there | ROWS_THAT_COME else 0 for name, rows in filled.rows.items()}
    assert contents(database) == expected
    with database.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx, opts={"compare_type": True}), metadata) == []
    assert {report.fault for report in verify(database)} == {None}
    database.close()
    is_opened_by_a_server(filled, empty_url, tmp_path)


def is_opened_by_a_server(filled: Filled, url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).chmod(0o600)
    settings = ServerSettings(data_dir=tmp_path / "data", database_url=url, master_key=Secret(MASTER_KEY.hex()))
    parts = open_parts(settings)
    try:
        assert parts.ring.last_read.keys[0].kid == filled.rows["signing_keys"][0]["kid"]
        organization = filled.sealed.tenant.id
        with parts.database.read() as tx:
            (variable,) = list_variables(tx, parts.cipher, organization, [(VariableScope.GLOBAL, organization)])
            assert variable.value.reveal() == VALUE
            inputs = inputs_of(tx, parts.cipher, filled.sealed.deployment)
            assert inputs.run.deployment_id == filled.sealed.deployment.id
    finally:
        parts.close()
