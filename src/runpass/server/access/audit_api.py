"""JSON routes of the audit trail: reading it, a page at a time.

Exporting the whole of it is `runpass audit export`: lines that stream do not fit an API of JSON documents, and the
operator who may export every organization's events has no API key.
"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Row

from runpass.ids import OrganizationId
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db
from runpass.server.http.wire import ApiModel, Moment, ShortText
from runpass.server.trail import store
from runpass.server.trail.store import Wanted

router = APIRouter(prefix="/audit-events", tags=["Audit trail"])
_BIGGEST = 2**63 - 1
Before = Annotated[int | None, Query(ge=1, le=_BIGGEST, description="Only events whose `sequence` is smaller.")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Action = Annotated[ShortText | None, Query(max_length=64, description="Only events of this action: `api_key.created`.")]
SubjectId = Annotated[
    ShortText | None, Query(alias="subjectId", max_length=255, description="Only events on this thing.")
]


class AuditEventAnswer(ApiModel):
    """Response: an audit event. `sequence` counts an organization's events without a gap."""

    id: UUID
    sequence: int
    at: Moment
    organization_id: UUID
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    detail: Annotated[dict[str, str], Field(description="Ids and names, never a secret.")]
    request_id: str
    address: str
    hash: str


@router.get("")
def list_newest(  # noqa: PLR0913 -- one parameter for each part of the query
    *,
    organization_id: Annotated[UUID, Query(alias="organizationId")],
    caller: Caller,
    db: Db,
    before: Before = None,
    limit: Limit = 100,
    action: Action = None,
    subject_id: SubjectId = None,
) -> list[AuditEventAnswer]:
    """List an organization's audit events, the newest first; the next page is `before` the last `sequence`."""
    organization = OrganizationId(organization_id)
    caller.require_organization(organization, Permission.VIEW_AUDIT)
    with db.read() as tx:
        return [answer_of(row) for row in store.newest(tx, organization, Wanted(limit, before, action, subject_id))]


def answer_of(row: Row[Any]) -> AuditEventAnswer:
    """Give an event as the API and its export have it."""
    return AuditEventAnswer(
        id=row.id,
        sequence=row.seq,
        at=row.at,
        organization_id=row.organization_id,
        actor=row.actor,
        action=row.action,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        detail=row.detail,
        request_id=row.request_id,
        address=row.address,
        hash=row.hash.hex(),
    )
