"""Locking a row until the end of the transaction, where that is not the whole database anyway."""

from uuid import UUID

from sqlalchemy import Table, select

from runpass.server.db.engine import Transaction


def lock_row(tx: Transaction, table: Table, row_id: UUID) -> None:
    """Wait for every other writing transaction that has locked this row, and keep it until this one ends.

    On SQLite a writing transaction is alone already. Rows that refer to this one can be inserted meanwhile
    (PostgreSQL's `FOR NO KEY UPDATE`).
    """
    tx.execute(select(table.c.id).where(table.c.id == row_id).with_for_update(key_share=True))
