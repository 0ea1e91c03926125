"""What belongs to the instance as a whole."""

from sqlalchemy import Column, String, Table

from runpass.server.db.schema.columns import metadata

instance = Table(
    "instance",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", String(255), nullable=False),
    comment="One fact per row; `master_key_id` says which master key the encrypted columns need.",
)
