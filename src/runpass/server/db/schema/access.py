"""API keys, people, who they are at a provider, and sessions of the console."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, String, Table, Uuid

from runpass.server.db.schema.columns import json_column, metadata, moment, own_id, reference

api_keys = Table(
    "api_keys",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("name", String(255), nullable=False),
    Column("api_key_id", String(64), nullable=False, unique=True),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("organization_role", String(64), nullable=False),
    json_column("project_roles"),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("last_used_at", nullable=True),
    Index("ix_api_keys_organization_id_id", "organization_id", "id"),
)

people = Table(
    "people",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    Column("sign_in_name", String(255), nullable=False),
    # What is compared: NFC and case-folded, which makes a text up to three times as long.
    Column("sign_in_key", String(765), nullable=False, unique=True),
    Column("display_name", String(255), nullable=False),
    Column("organization_role", String(64), nullable=False),
    json_column("project_roles"),
    Column("password_hash", String(255), nullable=True),
    Column("invitation_sha256", LargeBinary(32), nullable=True),
    moment("invitation_ends_at", nullable=True),
    Column("created_by", String(255), nullable=False),
    moment("created_at"),
    moment("last_sign_in_at", nullable=True),
    Column("last_sign_in_source", String(64), nullable=False),
    CheckConstraint("(invitation_sha256 IS NULL) = (invitation_ends_at IS NULL)", name="invitation_ends"),
    Index("ix_people_organization_id_id", "organization_id", "id"),
)
"""Whoever is invited, for the first time or anew, has no password until the invitation is used."""

person_identities = Table(
    "person_identities",
    metadata,
    Column("issuer", String(512), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("person_id", Uuid(), ForeignKey("people.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("verified_email", String(254), nullable=True, comment="as the last ID Token said; for claims alone"),
)
"""Who a provider's subject is. SECURITY: never found by an e-mail address, which somebody else may get some day."""

openid_sign_ins = Table(
    "openid_sign_ins",
    metadata,
    Column("state_sha256", LargeBinary(32), primary_key=True),
    Column("browser_sha256", LargeBinary(32), nullable=False),
    Column("place", String(512), nullable=False),
    moment("ends_at"),
    Index("ix_openid_sign_ins_ends_at", "ends_at"),
)
"""Sign-ins that a provider has not answered yet. What is secret of one is in the browser alone."""

console_sessions = Table(
    "console_sessions",
    metadata,
    own_id(),
    reference("organization_id", "organizations.id"),
    # SECURITY: the database itself ends the sessions of a key or a person with their owner, whoever deletes it.
    Column("api_key_id", Uuid(), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=True),
    Column("person_id", Uuid(), ForeignKey("people.id", ondelete="CASCADE"), nullable=True),
    Column("token_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("address", String(64), nullable=False),
    moment("created_at"),
    moment("last_seen_at"),
    moment("expires_at"),
    moment("ends_at"),
    CheckConstraint("(api_key_id IS NULL) <> (person_id IS NULL)", name="one_owner"),
    Index("ix_console_sessions_api_key_id_id", "api_key_id", "id"),
    Index("ix_console_sessions_person_id_id", "person_id", "id"),
    Index("ix_console_sessions_ends_at", "ends_at"),
)
"""`ends_at` is when it ends if no further page is asked for, and never after `expires_at`."""
