"""JSON routes of relying parties."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from runpass.ids import OrganizationId, RelyingPartyId
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.relying_parties import store
from runpass.server.relying_parties.model import RelyingParty
from runpass.server.relying_parties.registering import register, remove
from runpass.server.relying_parties.requests import CreateRelyingParty

router = APIRouter(prefix="/relying-parties", tags=["Relying parties"])
OrganizationIdQuery = Annotated[UUID, Query(alias="organizationId")]


class RelyingPartyAnswer(ApiModel):
    """Response: a relying party. Its id is also the user name with which it asks."""

    id: UUID
    name: str
    organization_id: UUID
    audiences: list[str]
    created_by: str
    created_at: Moment


class NewRelyingPartyAnswer(RelyingPartyAnswer):
    """Response to a creation: the secret is shown here and never again."""

    secret: str


@router.post("", status_code=201)
def create(body: CreateRelyingParty, caller: Caller, db: Db, clock: Now) -> NewRelyingPartyAnswer:
    """Make a relying party."""
    organization = OrganizationId(body.organization_id)
    caller.require_organization(organization, Permission.MANAGE_RELYING_PARTIES)
    with db.write() as tx:
        made = register(tx, organization, body.name, body.audiences, by=caller, clock=clock)
    return NewRelyingPartyAnswer(**dict(_answer(made.party)), secret=made.secret.reveal())


@router.get("")
def list_all(organization_id: OrganizationIdQuery, caller: Caller, db: Db) -> list[RelyingPartyAnswer]:
    """List an organization's relying parties."""
    organization = OrganizationId(organization_id)
    caller.require_organization(organization, Permission.MANAGE_RELYING_PARTIES)
    with db.read() as tx:
        return [_answer(party) for party in store.list_all(tx, organization)]


@router.delete("/{party_id}", status_code=204)
def delete(party_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Delete a relying party; it is told nothing more from that moment on."""
    caller.require_organization(caller.organization_id, Permission.MANAGE_RELYING_PARTIES)
    with db.write() as tx:
        remove(tx, caller.organization_id, RelyingPartyId(party_id), by=caller, clock=clock)


def _answer(party: RelyingParty) -> RelyingPartyAnswer:
    return RelyingPartyAnswer(
        id=party.id,
        name=party.name,
        organization_id=party.organization_id,
        audiences=list(party.audiences),
        created_by=party.created_by,
        created_at=party.created_at,
    )
