"""Column types and the shared `metadata`: how ids, times and JSON stand in both databases."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column, DateTime, Dialect, ForeignKey, MetaData, String, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


HIERARCHY = String(1280).with_variant(String(1280, collation="C"), "postgresql")
"""A path of ids joined by `|`. Compared byte by byte, so that all below a project are one range of the index."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. A naive one is refused; SQLite, which keeps no zone, gives it back as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- SQLAlchemy's signature
        """Refuse naive datetimes; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("a datetime without a time zone is not stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- SQLAlchemy's signature
        """Give an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def own_id() -> Column[UUID]:
    """Give the primary key of a table: a UUIDv7."""
    return Column("id", Uuid(), primary_key=True)


def reference(name: str, target: str, *, nullable: bool = False, index: bool = False) -> Column[UUID]:
    """Give a foreign key; a row that is still pointed at cannot be deleted."""
    return Column(name, Uuid(), ForeignKey(target, ondelete="RESTRICT"), nullable=nullable, index=index)


def moment(name: str, *, nullable: bool = False) -> Column[datetime]:
    """Give a column of type `UtcDateTime`."""
    return Column(name, UtcDateTime(), nullable=nullable)


def json_column(name: str, *, nullable: bool = False) -> Column[Any]:
    """Give a JSON column (JSONB on PostgreSQL)."""
    return Column(name, Json, nullable=nullable)
