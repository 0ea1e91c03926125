"""Every test of this folder runs on SQLite and on PostgreSQL, on the schema that the migrations make."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from factories import MASTER_KEY, MovingClock, Tenant, World
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, open_database
from runpass.server.db.migrate import prepare
from services_postgresql import PostgreSQL


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: PostgreSQL) -> str:
    name = postgresql.create()
    _migrate(postgresql.url(name))
    return name


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
def database_url(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database of this test alone."""
    if kind == "sqlite":
        file = tmp_path / "test.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite_file"), file)
        yield f"sqlite:///{file}"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = server.create(request.getfixturevalue("migrated_postgresql"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
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


def _migrate(url: str) -> None:
    opened = open_database(url)
    prepare(opened)
    opened.close()
