"""The audit trail becomes a hash chain for each organization, kept append-only by triggers."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_BATCH = 1000
_INSTANCE = UUID(int=0)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _new_tables()
    _new_columns()
    for statement in _TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def _new_tables() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("chain", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("chain", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq", name=op.f("pk_audit_checkpoints")),
    )


def _new_columns() -> None:
    added: tuple[sa.Column[Any], ...] = (
        sa.Column("chain", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("hash", sa.LargeBinary(32), nullable=True),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("address", sa.String(64), nullable=True),
    )
    for column in added:
        op.add_column("audit_events", column)
    _chain_what_is_there()
    # SQLite makes this table anew, which it may: no foreign key leads to it or away from it.
    with op.batch_alter_table("audit_events") as batch_op:
        for column in added:
            batch_op.alter_column(column.name, existing_type=column.type, nullable=False)
    op.drop_index("ix_audit_events_organization_id_id", "audit_events")
    op.create_index("uq_audit_events_chain_seq", "audit_events", ["chain", "seq"], unique=True)
    op.create_index("ix_audit_events_chain_action_seq", "audit_events", ["chain", "action", "seq"])
    op.create_index("ix_audit_events_chain_subject_id_seq", "audit_events", ["chain", "subject_id", "seq"])


def _chain_what_is_there() -> None:
    """Give each event its place, in the order of the ids: they are made in the order of time."""
    connection = op.get_bind()
    events = _events()
    heads: dict[UUID, tuple[int, bytes]] = {}
    page = sa.select(events).order_by(events.c.id).limit(_BATCH)
    place = sa.update(events).where(events.c.id == sa.bindparam("row_id"))
    rows = connection.execute(page).all()
    while rows:
        links = [_link(row, heads) for row in rows]
        connection.execute(place, links)
        rows = connection.execute(page.where(events.c.id > rows[-1].id)).all()
    if heads:
        table = sa.table("audit_heads", sa.column("chain", sa.Uuid()), sa.column("seq"), sa.column("hash"))
        values = [{"chain": chain, "seq": seq, "hash": last} for chain, (seq, last) in heads.items()]
        connection.execute(table.insert(), values)


def _events() -> sa.TableClause:
    return sa.table(
        "audit_events",
        sa.column("id", sa.Uuid()),
        sa.column("at", _MOMENT),
        sa.column("organization_id", sa.Uuid()),
        sa.column("actor", sa.String()),
        sa.column("action", sa.String()),
        sa.column("subject_kind", sa.String()),
        sa.column("subject_id", sa.String()),
        sa.column("detail", _JSON),
        sa.column("chain", sa.Uuid()),
        sa.column("seq", sa.BigInteger()),
        sa.column("hash", sa.LargeBinary()),
        sa.column("request_id", sa.String()),
        sa.column("address", sa.String()),
    )


def _link(row: Any, heads: dict[UUID, tuple[int, bytes]]) -> dict[str, object]:
    chain = row.organization_id or _INSTANCE
    seq, previous = heads.get(chain, (0, bytes(32)))
    seq += 1
    heads[chain] = seq, _hash(previous, seq, chain, row)
    return {"row_id": row.id, "chain": chain, "seq": seq, "hash": heads[chain][1], "request_id": "", "address": ""}


def _hash(previous: bytes, seq: int, chain: UUID, row: Any) -> bytes:
    """Give the hash as `runpass.server.audit` makes it; written out, because a migration never changes again."""
    at = row.at.replace(tzinfo=UTC) if row.at.tzinfo is None else row.at.astimezone(UTC)
    detail = json.dumps(row.detail, sort_keys=True, separators=(",", ":"))
    parts = (
        *("runpass audit event 1", previous.hex(), str(chain), str(seq), str(row.id), _microseconds(at)),
        *(str(row.organization_id or ""), row.actor, row.action, row.subject_kind, row.subject_id, detail, "", ""),
    )
    encoded = [part.encode() for part in parts]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in encoded)).digest()


def _microseconds(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_SQLITE = (
    """CREATE TRIGGER audit_events_extend_their_chain AFTER INSERT ON audit_events
    BEGIN
        UPDATE audit_heads SET seq = NEW.seq, hash = NEW.hash WHERE chain = NEW.chain AND seq = NEW.seq - 1;
        SELECT RAISE(ABORT, 'an audit event stands at the end of its chain') WHERE NOT EXISTS
            (SELECT 1 FROM audit_heads WHERE chain = NEW.chain AND seq = NEW.seq AND hash = NEW.hash);
    END""",
    """CREATE TRIGGER audit_events_never_change BEFORE UPDATE ON audit_events
    BEGIN SELECT RAISE(ABORT, 'an audit event never changes'); END""",
    """CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events
    WHEN NOT EXISTS (SELECT 1 FROM audit_checkpoints WHERE chain = OLD.chain AND seq >= OLD.seq)
    BEGIN SELECT RAISE(ABORT, 'an audit event is deleted only after a checkpoint'); END""",
    """CREATE TRIGGER audit_checkpoints_never_change BEFORE UPDATE ON audit_checkpoints
    BEGIN SELECT RAISE(ABORT, 'an audit checkpoint never changes'); END""",
    """CREATE TRIGGER audit_checkpoints_stay BEFORE DELETE ON audit_checkpoints
    BEGIN SELECT RAISE(ABORT, 'an audit checkpoint stays'); END""",
    """CREATE TRIGGER audit_heads_advance BEFORE UPDATE ON audit_heads
    WHEN NEW.chain <> OLD.chain OR NEW.seq <> OLD.seq + 1
    BEGIN SELECT RAISE(ABORT, 'the head of an audit chain only advances, one by one'); END""",
    """CREATE TRIGGER audit_heads_stay BEFORE DELETE ON audit_heads
    BEGIN SELECT RAISE(ABORT, 'the head of an audit chain stays'); END""",
)

_REFUSE = """CREATE FUNCTION runpass_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit trail is append-only'
            USING ERRCODE = '23000', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
    END $$"""

_CHECK_DELETION = """CREATE FUNCTION runpass_check_audit_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT EXISTS (SELECT 1 FROM audit_checkpoints c WHERE c.chain = OLD.chain AND c.seq >= OLD.seq) THEN
            RAISE EXCEPTION 'an audit event is deleted only after a checkpoint'
                USING ERRCODE = '23000', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
        END IF;
        RETURN OLD;
    END $$"""

_EXTEND = """CREATE FUNCTION runpass_extend_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE audit_heads h SET seq = NEW.seq, hash = NEW.hash WHERE h.chain = NEW.chain AND h.seq = NEW.seq - 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'an audit event stands at the end of its chain'
                USING ERRCODE = '23000', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
        END IF;
        RETURN NULL;
    END $$"""

_POSTGRESQL = (
    _REFUSE,
    _CHECK_DELETION,
    _EXTEND,
    """CREATE TRIGGER audit_events_extend_their_chain AFTER INSERT ON audit_events
    FOR EACH ROW EXECUTE FUNCTION runpass_extend_audit_chain()""",
    """CREATE TRIGGER audit_events_never_change BEFORE UPDATE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION runpass_refuse_audit_change()""",
    """CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION runpass_check_audit_deletion()""",
    """CREATE TRIGGER audit_events_are_not_truncated BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION runpass_refuse_audit_change()""",
    """CREATE TRIGGER audit_checkpoints_stay BEFORE UPDATE OR DELETE ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION runpass_refuse_audit_change()""",
    """CREATE TRIGGER audit_checkpoints_are_not_truncated BEFORE TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION runpass_refuse_audit_change()""",
    """CREATE TRIGGER audit_heads_advance BEFORE UPDATE ON audit_heads
    FOR EACH ROW WHEN (NEW.chain <> OLD.chain OR NEW.seq <> OLD.seq + 1)
    EXECUTE FUNCTION runpass_refuse_audit_change()""",
    """CREATE TRIGGER audit_heads_stay BEFORE DELETE ON audit_heads
    FOR EACH ROW EXECUTE FUNCTION runpass_refuse_audit_change()""",
    """CREATE TRIGGER audit_heads_are_not_truncated BEFORE TRUNCATE ON audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION runpass_refuse_audit_change()""",
)

_TRIGGERS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
