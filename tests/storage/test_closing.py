"""Closing a database while somebody still works with it."""

import threading
from typing import Any

from sqlalchemy import text

from runpass.server.db.engine import open_database


def test_a_transaction_that_is_going_on_ends_and_leaves_no_connection_open(empty_url: str):
    database = open_database(empty_url)
    begun, go_on = threading.Event(), threading.Event()
    connections: list[Any] = []

    def work() -> None:
        with database.read() as tx:
            tx.execute(text("SELECT 1"))
            connections.append(tx.connection.dbapi_connection)
            begun.set()
            go_on.wait(60)

    worker = threading.Thread(target=work)
    worker.start()
    assert begun.wait(60)
    closing = threading.Thread(target=database.close)
    closing.start()
    go_on.set()
    worker.join()
    closing.join()
    assert is_closed(connections[0])


def is_closed(connection: Any) -> bool:
    if hasattr(connection, "closed"):
        return bool(connection.closed)
    try:
        connection.execute("SELECT 1")
    except connection.ProgrammingError:
        return True
    return False
