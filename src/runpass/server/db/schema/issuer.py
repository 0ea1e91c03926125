"""Signing keys."""

from sqlalchemy import Column, Index, LargeBinary, String, Table, text

from runpass.server.db.schema.columns import json_column, metadata, moment

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("algorithm", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    json_column("public_jwk"),
    Column("private_key_sealed", LargeBinary, nullable=False),
    moment("created_at"),
    Index(
        "uq_signing_keys_active",
        "state",
        unique=True,
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
)
