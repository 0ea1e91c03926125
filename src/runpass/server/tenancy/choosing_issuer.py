"""An organization chooses its issuer: whether it may, and what has to be there before it counts."""

from runpass.errors import Forbidden
from runpass.ids import OrganizationId
from runpass.server.issuer.rings import Rings
from runpass.server.settings import ServerSettings
from runpass.server.tenancy.model import IdentityIssuer, Organization


def check_allowed(wanted: IdentityIssuer | None, settings: ServerSettings) -> None:
    """Raise `Forbidden` where the operator gives organizations no issuers. Going back is always allowed."""
    if wanted in {IdentityIssuer.PREPARED, IdentityIssuer.OWN} and not settings.organization_issuers:
        raise Forbidden("this server gives organizations no issuers of their own (setting organization_issuers)")


def make_ready(rings: Rings, organization_id: OrganizationId, wanted: IdentityIssuer | None) -> None:
    """Make the first key of an organization that chooses its own issuer, before the choice is stored.

    SECURITY: this, and minting for one that has chosen, are the only ways to such a key; the caller has checked that
    this is an Admin of the organization.
    """
    if wanted in {IdentityIssuer.PREPARED, IdentityIssuer.OWN}:
        rings.prepare(organization_id)


def take_leave(rings: Rings, organization: Organization) -> None:
    """Let the own keys of an organization end that is back at the shared issuer. To be called once that is stored."""
    if organization.identity_issuer is IdentityIssuer.SHARED:
        rings.leave(organization.id)
