"""Making and deleting relying parties. A secret is shown once and stored as SHA-256."""

from dataclasses import dataclass
from datetime import datetime

from runpass.clock import Clock
from runpass.errors import Conflict, NotFound
from runpass.ids import OrganizationId, RelyingPartyId, new_id
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.access.bearers import Bearer, digest, new_bearer
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.relying_parties import store
from runpass.server.relying_parties.model import MOST_RELYING_PARTIES, RelyingParty


@dataclass(frozen=True, slots=True)
class NewRelyingParty:
    """A relying party at the only moment its secret is known."""

    party: RelyingParty
    secret: Secret


def register(
    tx: Transaction, organization_id: OrganizationId, name: str, audiences: tuple[str, ...], *, by: Actor, clock: Clock
) -> NewRelyingParty:
    """Store a relying party and its audit record. Raises `Conflict` when the organization has too many."""
    if store.count(tx, organization_id) >= MOST_RELYING_PARTIES:
        raise Conflict(f"an organization has at most {MOST_RELYING_PARTIES} relying parties")
    secret = new_bearer(Bearer.RELYING_PARTY)
    party_id, now = RelyingPartyId(new_id()), clock.now()
    party = RelyingParty(party_id, organization_id, name, audiences, by.audit_name, now)
    store.insert(tx, party, digest(secret))
    record(tx, _event(party_id, organization_id, "created", by, now, name=name, audiences=" ".join(audiences)))
    return NewRelyingParty(party, secret)


def remove(
    tx: Transaction, organization_id: OrganizationId, party_id: RelyingPartyId, *, by: Actor, clock: Clock
) -> None:
    """Delete a relying party; its secret is good for nothing from then on. Raises `NotFound`."""
    if not store.remove(tx, organization_id, party_id):
        raise NotFound("there is no such relying party")
    record(tx, _event(party_id, organization_id, "deleted", by, clock.now()))


def _event(
    party_id: RelyingPartyId, organization_id: OrganizationId, verb: str, by: Actor, at: datetime, **detail: str
) -> AuditEvent:
    action, subject = f"relying_party.{verb}", str(party_id)
    return AuditEvent(at, by.audit_name, action, "relying_party", subject, organization_id, detail)
