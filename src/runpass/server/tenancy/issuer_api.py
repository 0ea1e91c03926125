"""JSON route that says which issuer an organization's tokens are of, and what a Vault must be told of it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from runpass.ids import OrganizationId
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.http.dependencies import Db, Settings
from runpass.server.http.wire import ApiModel
from runpass.server.issuer.addresses import addresses_of
from runpass.server.issuer.dependencies import KeyRings
from runpass.server.issuer.keys import SHARED, IssuerScope
from runpass.server.settings import ServerSettings
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.model import IdentityIssuer

router = APIRouter(prefix="/organizations", tags=["Organizations"])


class IssuerPlace(ApiModel):
    """An issuer, as a relying party needs it."""

    issuer: Annotated[str, Field(description="The `iss` of its tokens, byte for byte.")]
    jwks_url: Annotated[str, Field(description="Where its keys are fetched.")]


class IssuerAnswer(IssuerPlace):
    """Response: the issuer of the tokens that the organization's runs get now, and the other one."""

    identity_issuer: IdentityIssuer
    audience: Annotated[str, Field(description="The shared audience, of both issuers' tokens.")]
    shared: IssuerPlace
    own: Annotated[IssuerPlace | None, Field(description="The organization's own issuer, once it was chosen.")]


@router.get("/{organization_id}/issuer")
def get(organization_id: UUID, caller: Caller, db: Db, settings: Settings, rings: KeyRings) -> IssuerAnswer:
    """Say which issuer the organization's identity tokens are of."""
    caller.require_organization(OrganizationId(organization_id), Permission.VIEW_ORGANIZATION)
    with db.read() as tx:
        organization = own_organization(tx, caller)
    has_own = organization.identity_issuer is not IdentityIssuer.SHARED or rings.has_issuer(organization.id)
    now = _place(settings, organization.issuer)
    return IssuerAnswer(
        identity_issuer=organization.identity_issuer,
        audience=settings.audience,
        issuer=now.issuer,
        jwks_url=now.jwks_url,
        shared=_place(settings, SHARED),
        own=_place(settings, organization.id) if has_own else None,
    )


def _place(settings: ServerSettings, issuer: IssuerScope) -> IssuerPlace:
    addresses = addresses_of(settings)
    return IssuerPlace(issuer=addresses.issuer_url(issuer), jwks_url=addresses.jwks_url(issuer))
