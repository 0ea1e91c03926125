"""Founding an organization: the organization and its first admin, in one transaction."""

from dataclasses import dataclass
from datetime import datetime

from runpass.clock import Clock
from runpass.errors import Conflict
from runpass.ids import OrganizationId, new_id
from runpass.server.access.api_keys import KeyRequest, NewApiKey, create_api_key
from runpass.server.access.permissions import OrganizationRole
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Database, Transaction
from runpass.server.tenancy import store
from runpass.server.tenancy.model import Organization


@dataclass(frozen=True, slots=True)
class Founded:
    """A new organization and its first key, whose secret is known only now."""

    organization: Organization
    admin_key: NewApiKey


def found_organization(database: Database, name: str, clock: Clock, *, by: str = "operator") -> Founded:
    """Make an organization and its admin's API key.

    Raises `Conflict` when the name is taken: founding happens once.
    """
    with database.write() as tx:
        if store.find_organization(tx, name) is not None:
            raise Conflict(
                "an organization of this name is there already", hint="its API key was shown when it was made"
            )
        organization = add_organization(tx, name, by=by, now=clock.now())
        wanted = KeyRequest(organization.id, "admin", OrganizationRole.ADMIN, {})
        return Founded(organization, create_api_key(tx, wanted, by=by, clock=clock))


def add_organization(tx: Transaction, name: str, *, by: str, now: datetime) -> Organization:
    """Store an organization, which is nobody's yet, and the audit record."""
    organization_id = OrganizationId(new_id())
    organization = Organization(
        id=organization_id,
        name=name,
        description="",
        oidc_sub=str(organization_id),
        enable_oidc=False,
        allow_clear_text_vault=False,
        policies={},
        created_by=by,
        created_at=now,
        updated_at=now,
    )
    store.insert_organization(tx, organization)
    record(tx, AuditEvent(now, by, "organization.created", "organization", str(organization_id), organization_id))
    return organization
