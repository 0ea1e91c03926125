"""A database that can be read and not written: reading goes on, writing is `Unavailable`."""

import base64
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, event

from factories import Tenant, World
from runpass.errors import Unauthenticated, Unavailable
from runpass.server.access.api_keys import authenticate
from runpass.server.db.engine import Database
from runpass.server.tenancy.store import get_organization, update_organization


@pytest.fixture
def read_only(database: Database) -> Iterator[None]:
    def begin(connection: Connection) -> None:
        said = "PRAGMA query_only=ON" if database.is_sqlite else "SET TRANSACTION READ ONLY"
        connection.exec_driver_sql(said)

    event.listen(database.engine, "begin", begin)
    yield
    event.remove(database.engine, "begin", begin)


def header(tenant: Tenant, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{tenant.api_key.api_key_id}:{secret}".encode()).decode()


def test_writing_is_unavailable(tenant: Tenant, world: World, request: pytest.FixtureRequest):
    request.getfixturevalue("read_only")
    with pytest.raises(Unavailable), world.database.write() as tx:
        update_organization(tx, tenant.organization, {"description": "new"}, world.clock.now())


def test_a_key_signs_in_although_its_use_cannot_be_noted(tenant: Tenant, world: World, request: pytest.FixtureRequest):
    request.getfixturevalue("read_only")
    actor = authenticate(world.database, header(tenant, tenant.api_secret.reveal()), world.clock)
    assert actor == tenant.admin
    with world.database.read() as tx:
        assert get_organization(tx, tenant.id) == tenant.organization
    with pytest.raises(Unauthenticated):
        authenticate(world.database, header(tenant, "wrong"), world.clock)
