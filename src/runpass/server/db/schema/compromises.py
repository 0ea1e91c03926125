"""Signing keys that leaked, and the server processes whose acknowledgement a stop waits for."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, UniqueConstraint, Uuid

from runpass.server.db.schema.columns import metadata, moment, own_id, reference

server_processes = Table(
    "server_processes",
    metadata,
    own_id(),
    Column("name", String(255), nullable=False),
    moment("started_at"),
    moment("seen_at"),
    Column("seen_change", BigInteger, nullable=False),
    Column("stale_seconds", Integer, nullable=False),
    Column("documents_stale_seconds", Integer, nullable=False),
)
"""One row for each process, from before it signs until it ends; `seen_change` is a number of `signing_key_changes`."""

key_compromises = Table(
    "key_compromises",
    metadata,
    Column("kid", String(64), ForeignKey("signing_keys.kid", ondelete="RESTRICT"), primary_key=True),
    reference("organization_id", "organizations.id", nullable=True),
    Column("was", String(16), nullable=False),  # the key's state until then
    Column("change_seq", BigInteger, nullable=False),
    Column("replacement_kid", String(64), nullable=True),
    Column("actor", String(255), nullable=False),
    moment("stopped_at"),
    moment("acknowledged_at", nullable=True),
    moment("probes_at", nullable=True),
    moment("destroyed_at", nullable=True),
    moment("replaced_at", nullable=True),
    moment("withdrawn_at", nullable=True),
    moment("cured_at", nullable=True),
)

key_probes = Table(
    "key_probes",
    metadata,
    own_id(),
    Column("kid", String(64), ForeignKey("key_compromises.kid", ondelete="RESTRICT"), nullable=False),
    Column("credential_id", Uuid, nullable=False, comment="no foreign key: a credential may go, its Vault stays"),
    reference("organization_id", "organizations.id", nullable=True),
    Column("probe_sealed", LargeBinary, nullable=False),
    UniqueConstraint("kid", "credential_id"),
)
"""Tokens that were always expired, signed with a key before it was destroyed; deleted when every Vault is cured."""
