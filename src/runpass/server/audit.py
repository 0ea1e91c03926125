"""The audit trail: who did what to what, when. Append-only; never a token, a secret or a value that was sent.

Only records: an event is written in the very transaction of the change it speaks of. No route reads it
yet; those that will belong in `access`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from runpass.ids import new_id
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.audit import audit_events


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One fact. `action` is `noun.verb` (`deployment.queued`); `detail` holds ids and names only."""

    at: datetime
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    organization_id: UUID | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


def record(tx: Transaction, event: AuditEvent) -> None:
    """Write an event in the transaction of the change itself: neither can be there without the other."""
    tx.execute(
        audit_events.insert().values(
            id=new_id(),
            at=event.at,
            organization_id=event.organization_id,
            actor=event.actor,
            action=event.action,
            subject_kind=event.subject_kind,
            subject_id=event.subject_id,
            detail=dict(event.detail),
        )
    )
