"""Key set URLs that name a Vault, and what runners saw of Vaults that were made to fetch the key set."""

from sqlalchemy import Boolean, Column, Index, LargeBinary, String, Table, Text, UniqueConstraint, Uuid, text

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

NOT_TAKEN = "taken_at IS NULL"

jwks_verifiers = Table(
    "jwks_verifiers",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("place_sha256", LargeBinary(32), nullable=False, comment="of address, namespace and mount"),
    Column("name", String(64), nullable=False, unique=True, comment="what is in the URL"),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    UniqueConstraint("organization_id", "place_sha256"),
)

key_checks = Table(
    "key_checks",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("place_sha256", LargeBinary(32), nullable=False, comment="of address, namespace and mount"),
    Column("address", String(2048), nullable=False),
    Column("namespace", String(255), nullable=False),
    Column("mount", String(255), nullable=False),
    Column("credential_id", Uuid(), nullable=False),
    reference("pool_id", "runner_pools.id", nullable=True),  # null: there is none that could take it
    Column("verifier", String(64), nullable=True, comment="the name in the Vault's own key set URL"),
    Column("about_kid", String(64), nullable=True),
    Column("probe_kid", String(64), nullable=True),
    Column("probe_sealed", LargeBinary, nullable=True, comment="a token signed with that key, encrypted"),
    reference("runner_id", "runners.id", nullable=True),
    Column("secret_sha256", LargeBinary(32), nullable=True),
    moment("created_at"),
    moment("taken_at", nullable=True),
    moment("finished_at", nullable=True),
    Column("reached", Boolean, nullable=True),
    Column("refetched", String(32), nullable=True),
    Column("probe_verdict", String(32), nullable=True),
    Column("said", Text, nullable=True),
    moment("seen_at", nullable=True),
    json_column("seen_kids", nullable=True),
    Index("ix_key_checks_created_at", "created_at"),
    Index("ix_key_checks_about_kid", "about_kid", "id"),
    Index("ix_key_checks_organization_id", "organization_id", "place_sha256", "id"),
    Index(
        "ix_key_checks_queue",
        "pool_id",
        "created_at",
        sqlite_where=text(NOT_TAKEN),
        postgresql_where=text(NOT_TAKEN),
    ),
)
