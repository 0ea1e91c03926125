"""The schema: migrations, and what a server says of a database that it will not touch."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from runpass.errors import ConfigurationError, RunpassError
from runpass.server.db.engine import Database, open_database
from runpass.server.db.migrate import SCRIPTS, current, head, prepare, upgrade
from runpass.server.db.schema import metadata

NEXT_REVISION = """
revision = "9999_next"
down_revision = "{head}"
branch_labels = None
depends_on = None

def upgrade():
    from alembic import op
    op.execute("CREATE TABLE next_table (id INTEGER)")
"""


@pytest.fixture
def own_database(empty_url: str) -> Iterator[Database]:
    """A migrated database that a test may upgrade."""
    opened = open_database(empty_url)
    prepare(opened)
    yield opened
    opened.close()


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The migrations of a version that has one more."""
    scripts = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "9999_next.py").write_text(NEXT_REVISION.format(head=head()))
    return scripts


def test_the_migrations_make_exactly_the_tables_that_the_code_describes(database: Database):
    with database.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx, opts={"compare_type": True}), metadata)
        checks = {(c["name"], t) for t in metadata.tables for c in inspect(tx).get_check_constraints(t) if c["name"]}
    assert differences == []
    assert ("ck_variables_one_value", "variables") in checks


def test_every_partial_index_is_partial_in_the_database_too(database: Database):
    expected = {
        index.name: str(index.dialect_options["sqlite"]["where"])
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"].get("where") is not None
    }
    with database.read() as tx:
        found = {name: _definition(tx, name) for name in expected}
    assert len(expected) == 15
    for name, where in expected.items():
        column = where.split(" ", maxsplit=1)[0]
        assert " WHERE " in found[name], name
        assert column in found[name].rpartition(" WHERE ")[2], name


def test_preparing_twice_changes_nothing(database: Database):
    prepare(database)
    assert current(database) == head()


def test_four_servers_that_start_at_the_same_moment_make_one_schema(empty_url: str):
    databases = [open_database(empty_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(prepare, databases))
    assert {current(database) for database in databases} == {head()}
    for database in databases:
        database.close()


def test_a_database_that_is_behind_is_refused_and_upgraded_on_request(own_database: Database, next_version: Path):
    with pytest.raises(ConfigurationError, match=f"is at revision {head()}, this version needs 9999_next") as refused:
        prepare(own_database, next_version)
    assert refused.value.hint == "run: runpass migrate"

    assert upgrade(own_database, next_version) == "9999_next"
    prepare(own_database, next_version)
    with own_database.read() as tx:
        assert inspect(tx).has_table("next_table")


def test_a_database_of_a_newer_version_is_refused(own_database: Database, next_version: Path):
    upgrade(own_database, next_version)
    with pytest.raises(ConfigurationError, match="9999_next, which is newer than this version"):
        prepare(own_database)


def test_a_database_with_foreign_tables_is_refused_and_left_alone(empty_url: str):
    database = open_database(empty_url)
    with database.write() as tx:
        tx.execute(text("CREATE TABLE theirs (id INTEGER)"))
    with pytest.raises(ConfigurationError, match="tables that are not runpass's"):
        prepare(database)
    with database.read() as tx:
        assert inspect(tx).get_table_names() == ["theirs"]
    database.close()


def test_a_migration_that_fails_leaves_nothing_behind(own_database: Database, next_version: Path):
    broken = next_version / "versions" / "9999_next.py"
    broken.write_text(broken.read_text() + '    op.execute("THIS IS NOT SQL")\n')
    with pytest.raises((RunpassError, DBAPIError)):
        upgrade(own_database, next_version)
    assert current(own_database) == head()
    with own_database.read() as tx:
        assert not inspect(tx).has_table("next_table")


def _definition(tx: Any, index: str) -> str:
    catalogue = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE name = :name",
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname = :name",
    }[tx.dialect.name]
    return tx.execute(text(catalogue), {"name": index}).scalar_one()
