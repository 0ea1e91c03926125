"""The query behind a list of credentials that people look through."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, select

from runpass.ids import OrganizationId
from runpass.protocol.credentials import CredentialKind
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import Page, credential_of
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.credentials import credentials
from runpass.server.db.schema.tenancy import projects


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which credentials of those that somebody may see."""

    name: str = ""
    """What their names have in them, in whatever case; empty: all."""
    kind: CredentialKind | None = None


def find_credentials(
    tx: Transaction, organization_id: OrganizationId, visible: ColumnElement[bool] | None, wanted: Wanted, page: Page
) -> list[StoredCredential]:
    """Give a part of an organization's credentials, oldest first; with `visible` those of projects it holds for."""
    query = select(credentials).where(credentials.c.organization_id == organization_id)
    if visible is not None:
        query = query.join(projects, projects.c.id == credentials.c.project_id).where(visible)
    if wanted.kind is not None:
        query = query.where(credentials.c.type == wanted.kind.value)
    if wanted.name:
        query = query.where(credentials.c.name.icontains(wanted.name, autoescape=True))
    query = query.order_by(credentials.c.id).limit(page.limit).offset(page.offset or None)
    return [credential_of(row) for row in tx.execute(query)]
