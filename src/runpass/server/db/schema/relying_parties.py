"""Relying parties that may ask whether a token still counts."""

from sqlalchemy import Column, Index, LargeBinary, String, Table

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

relying_parties = Table(
    "relying_parties",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("name", String(255), nullable=False),
    json_column("audiences"),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    Index("ix_relying_parties_organization_id_id", "organization_id", "id"),
)
