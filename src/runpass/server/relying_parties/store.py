"""Every query on relying parties."""

from typing import Any

from sqlalchemy import Row, delete, func, select

from runpass.ids import OrganizationId, RelyingPartyId
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.relying_parties import relying_parties
from runpass.server.relying_parties.model import RelyingParty


def insert(tx: Transaction, party: RelyingParty, secret_sha256: bytes) -> None:
    """Store a new relying party."""
    tx.execute(
        relying_parties.insert().values(
            id=party.id,
            organization_id=party.organization_id,
            name=party.name,
            audiences=list(party.audiences),
            secret_sha256=secret_sha256,
            created_by=party.created_by,
            created_at=party.created_at,
        )
    )


def list_all(tx: Transaction, organization_id: OrganizationId) -> list[RelyingParty]:
    """Give an organization's relying parties, oldest first."""
    mine = relying_parties.c.organization_id == organization_id
    return [_party(row) for row in tx.execute(select(relying_parties).where(mine).order_by(relying_parties.c.id))]


def count(tx: Transaction, organization_id: OrganizationId) -> int:
    """Count an organization's relying parties."""
    mine = relying_parties.c.organization_id == organization_id
    return int(tx.execute(select(func.count()).select_from(relying_parties).where(mine)).scalar_one())


def find(tx: Transaction, party_id: RelyingPartyId) -> tuple[RelyingParty, bytes] | None:
    """Give a relying party of any organization with the SHA-256 of its secret: for the door at which it asks."""
    row = tx.execute(select(relying_parties).where(relying_parties.c.id == party_id)).one_or_none()
    return None if row is None else (_party(row), row.secret_sha256)


def remove(tx: Transaction, organization_id: OrganizationId, party_id: RelyingPartyId) -> bool:
    """Delete a relying party of this organization; whether it was there."""
    mine = (relying_parties.c.organization_id == organization_id) & (relying_parties.c.id == party_id)
    return bool(tx.execute(delete(relying_parties).where(mine)).rowcount)


def _party(row: Row[Any]) -> RelyingParty:
    return RelyingParty(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        audiences=tuple(row.audiences),
        created_by=row.created_by,
        created_at=row.created_at,
    )
