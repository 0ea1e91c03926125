"""JSON route of the issuers that an organization's Vaults trust: ours, env0 has no counterpart."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from runpass.ids import OrganizationId
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.credentials.recorded_issuers import recorded_issuers
from runpass.server.http.dependencies import Db, Settings
from runpass.server.http.wire import ApiModel
from runpass.server.issuer.addresses import addresses_of
from runpass.server.tenancy.lookup import own_organization

router = APIRouter(prefix="/organizations", tags=["Organizations"])


class RecordedIssuerAnswer(ApiModel):
    """Response: the issuer that the auth mount of a credential trusts, as `runpass vault apply` recorded it."""

    credential_id: UUID
    credential_name: str
    address: str
    namespace: str
    auth_mount_path: str
    issuer: str
    takes_tokens: Annotated[bool, Field(description="Whether it is the issuer of the organization's tokens now.")]


@router.get("/{organization_id}/recorded-issuers")
def list_recorded(organization_id: UUID, caller: Caller, db: Db, settings: Settings) -> list[RecordedIssuerAnswer]:
    """List which issuer the organization's Vaults trust, of its 500 oldest credentials. No Vault is asked."""
    caller.require_organization(OrganizationId(organization_id), Permission.VIEW_CREDENTIALS)
    with db.read() as tx:
        now = addresses_of(settings).issuer_url(own_organization(tx, caller).issuer)
        found = recorded_issuers(tx, caller.organization_id)
    return [
        RecordedIssuerAnswer(
            credential_id=one.credential_id,
            credential_name=one.credential_name,
            address=one.address,
            namespace=one.namespace,
            auth_mount_path=one.mount,
            issuer=one.issuer,
            takes_tokens=one.issuer == now,
        )
        for one in found
    ]
