"""A reading that was broken off must not keep the past alive for whoever gets its connection next."""

from typing import Any

from sqlalchemy import select, update

from factories import Tenant
from runpass.server.db.engine import Database, open_database
from runpass.server.db.schema.tenancy import projects

MANY_ROWS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)
    SELECT projects.name FROM numbers, projects
"""


def _break_off(database: Database) -> Any:
    """Read one row of many; give the cursor, as a traceback that somebody logs would keep it."""
    with database.read() as tx:
        cursor = tx.connection.cursor()
        cursor.execute(MANY_ROWS)
        cursor.fetchone()
        return cursor


def test_a_reading_that_was_broken_off_does_not_keep_the_past(tenant: Tenant, database: Database):
    tenant.project("before")
    cursor = _break_off(database)
    somebody_else = open_database(database.engine.url.render_as_string(hide_password=False))
    with somebody_else.write() as tx:
        tx.execute(update(projects).values(name="after"))
    somebody_else.close()
    with database.read() as tx:
        assert set(tx.execute(select(projects.c.name)).scalars()) == {"after"}
    del cursor
