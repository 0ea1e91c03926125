"""Signing keys, and the number of their last change."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, false, text

from runpass.server.db.schema.columns import json_column, metadata, moment, reference

_OCCUPYING = "state IN ('upcoming', 'active')"

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    reference("organization_id", "organizations.id", nullable=True),
    Column("algorithm", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    json_column("public_jwk"),
    Column("private_key_sealed", LargeBinary, nullable=True),  # null once the key is gone
    moment("created_at"),
    moment("published_at", nullable=True),
    moment("activated_at", nullable=True),
    moment("retired_at", nullable=True),
    moment("gone_at", nullable=True),
    moment("last_token_expires_at", nullable=True),
    moment("rotation_wanted_at", nullable=True),
    Column("confirmation_awaited", Boolean, nullable=False, server_default=false()),
    moment("confirmed_at", nullable=True),
    Column("longest_token_seconds", Integer, nullable=False),
    Column("change_seq", BigInteger, nullable=False),
    # One upcoming and one active key for each issuer. Two indexes, because null is never equal to null.
    Index(
        "uq_signing_keys_shared",
        "state",
        unique=True,
        sqlite_where=text(f"{_OCCUPYING} AND organization_id IS NULL"),
        postgresql_where=text(f"{_OCCUPYING} AND organization_id IS NULL"),
    ),
    Index(
        "uq_signing_keys_organization",
        "organization_id",
        "state",
        unique=True,
        sqlite_where=text(_OCCUPYING),
        postgresql_where=text(_OCCUPYING),
    ),
    Index("ix_signing_keys_organization_id", "organization_id", "state"),
    Index("ix_signing_keys_change_seq", "change_seq"),
)

signing_key_changes = Table(
    "signing_key_changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("seq", BigInteger, nullable=False),
)
