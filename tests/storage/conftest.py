"""Every test of this folder runs on SQLite and on PostgreSQL, on the schema that the migrations make."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, text

from factories import MASTER_KEY, MovingClock, Tenant, World
from management_api import ManagementApi, management_api
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, open_database
from runpass.server.db.migrate import prepare
from runpass.server.db.schema import metadata
from runpass.server.templates.model import Template
from runpass.server.tenancy.model import Project
from services_postgresql import PostgreSQL


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    opened = open_database(f"sqlite:///{file}")
    prepare(opened)
    opened.close()
    return file


@pytest.fixture(scope="session")
def shared_postgresql_database(postgresql: PostgreSQL) -> Iterator[Database]:
    """One migrated database: making one for each test would take longer than all the tests together."""
    database = open_database(postgresql.url(postgresql.create()))
    prepare(database)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> str:
    """The URL of a database that nobody has touched."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return request.getfixturevalue("empty_postgresql_url")


@pytest.fixture
def database(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[Database]:
    """A migrated database without a row. A test that changes the schema takes `empty_url` instead."""
    if kind == "postgresql":
        shared: Database = request.getfixturevalue("shared_postgresql_database")
        yield shared
        with shared.write() as tx:
            # The audit trail refuses to be deleted. This user may switch off triggers; a server's user may not.
            tx.execute(text("SET LOCAL session_replication_role = replica"))
            for table in reversed(metadata.sorted_tables):
                tx.execute(delete(table))
        return
    file = tmp_path / "test.db"
    shutil.copyfile(request.getfixturevalue("migrated_sqlite_file"), file)
    opened = open_database(f"sqlite:///{file}")
    yield opened
    opened.close()


@pytest.fixture
def cipher() -> Cipher:
    return Cipher(MASTER_KEY)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def world(database: Database, cipher: Cipher, clock: MovingClock) -> World:
    return World(database, cipher, clock)


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant()


@pytest.fixture
def project(tenant: Tenant) -> Project:
    return tenant.project()


@pytest.fixture
def template(tenant: Tenant, project: Project) -> Template:
    """A template that `project` may run."""
    return tenant.template(project)


@pytest.fixture
def api(world: World, tenant: Tenant) -> Iterator[ManagementApi]:
    """The management API, called by the tenant's admin."""
    with management_api(world, tenant) as admin:
        yield admin
