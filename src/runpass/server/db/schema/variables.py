"""Configuration variables. A sensitive value stands in `value_sealed` only, any other in `value` only."""

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, LargeBinary, String, Table, Text, Uuid

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

variables = Table(
    "variables",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("scope", String(32), nullable=False),
    Column("scope_id", Uuid, nullable=False, comment="the organization itself for GLOBAL"),
    Column("name", String(255), nullable=False),
    Column("type", Integer, nullable=False, comment="0 = environment variable, 1 = Terraform variable"),
    Column("value", Text, nullable=True),
    Column("value_sealed", LargeBinary, nullable=True),
    Column("is_sensitive", Boolean, nullable=False),
    json_column("extra"),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("updated_at"),
    CheckConstraint("(value IS NULL) = is_sensitive AND (value_sealed IS NOT NULL) = is_sensitive", name="one_value"),
    Index("uq_variables_scope_name", "scope_id", "scope", "name", "type", unique=True),
    Index("ix_variables_organization_id", "organization_id"),
)
