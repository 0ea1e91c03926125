"""Every query on key set URLs that name a Vault."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select

from runpass.ids import OrganizationId
from runpass.server.db.engine import Transaction, insert_into
from runpass.server.db.schema.key_checks import jwks_verifiers


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """That an organization's Vault has a key set URL of its own. `name` is what is in the URL."""

    id: UUID
    organization_id: OrganizationId
    place_sha256: bytes
    name: str
    created_by: str
    created_at: datetime


def insert_verifier(tx: Transaction, verifier: Verifier) -> bool:
    """Store a new one, unless the place has one already; whether this one is new."""
    values = {
        "id": verifier.id,
        "organization_id": verifier.organization_id,
        "place_sha256": verifier.place_sha256,
        "name": verifier.name,
        "created_by": verifier.created_by,
        "created_at": verifier.created_at,
    }
    new = insert_into(tx, jwks_verifiers).values(values)
    once = new.on_conflict_do_nothing(index_elements=["organization_id", "place_sha256"])
    return tx.execute(once.returning(jwks_verifiers.c.id)).one_or_none() is not None


def find_verifier(tx: Transaction, organization_id: OrganizationId, place_sha256: bytes) -> Verifier | None:
    """Give the one of a place."""
    mine = (jwks_verifiers.c.organization_id == organization_id) & (jwks_verifiers.c.place_sha256 == place_sha256)
    row = tx.execute(select(jwks_verifiers).where(mine)).one_or_none()
    return None if row is None else _verifier(row)


def list_verifiers(tx: Transaction, organization_ids: Collection[OrganizationId]) -> list[Verifier]:
    """Give those of some organizations."""
    theirs = jwks_verifiers.c.organization_id.in_(organization_ids)
    return [_verifier(row) for row in tx.execute(select(jwks_verifiers).where(theirs))]


def count_verifiers(tx: Transaction, organization_id: OrganizationId) -> int:
    """Count an organization's."""
    mine = jwks_verifiers.c.organization_id == organization_id
    return int(tx.execute(select(func.count()).select_from(jwks_verifiers).where(mine)).scalar_one())


def delete_verifier(tx: Transaction, organization_id: OrganizationId, place_sha256: bytes) -> bool:
    """Delete the one of a place; whether there was one."""
    mine = (jwks_verifiers.c.organization_id == organization_id) & (jwks_verifiers.c.place_sha256 == place_sha256)
    return tx.execute(delete(jwks_verifiers).where(mine)).rowcount == 1


def _verifier(row: Row[Any]) -> Verifier:
    return Verifier(
        id=row.id,
        organization_id=row.organization_id,
        place_sha256=row.place_sha256,
        name=row.name,
        created_by=row.created_by,
        created_at=row.created_at,
    )
