"""Every query on credentials and assignments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update

from runpass.ids import CredentialId, OrganizationId, ProjectId
from runpass.protocol.credentials import Credential, CredentialKind, parse
from runpass.server.credentials.model import Assignment, StoredCredential
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.credentials import credential_assignments, credentials


def insert_credential(tx: Transaction, credential: StoredCredential) -> None:
    """Store a new credential."""
    tx.execute(
        credentials.insert().values(
            id=credential.id,
            organization_id=credential.organization_id,
            project_id=credential.project_id,
            name=credential.name,
            type=credential.kind.value,
            value=_json(credential.value),
            created_by=credential.created_by,
            created_at=credential.created_at,
            updated_at=credential.updated_at,
        )
    )


def get_credential(
    tx: Transaction, organization_id: OrganizationId, credential_id: CredentialId
) -> StoredCredential | None:
    """Give a credential of this organization."""
    mine = (credentials.c.id == credential_id) & (credentials.c.organization_id == organization_id)
    row = tx.execute(select(credentials).where(mine)).one_or_none()
    return None if row is None else _credential(row)


def list_credentials(tx: Transaction, organization_id: OrganizationId) -> list[StoredCredential]:
    """Give an organization's credentials of both scopes, oldest first."""
    query = select(credentials).where(credentials.c.organization_id == organization_id).order_by(credentials.c.id)
    return [_credential(row) for row in tx.execute(query)]


def change_value(tx: Transaction, credential_id: CredentialId, value: Credential, now: datetime) -> None:
    """Replace a credential's value."""
    mine = credentials.c.id == credential_id
    tx.execute(update(credentials).where(mine).values(value=_json(value), updated_at=now))


def delete_credential(tx: Transaction, credential_id: CredentialId) -> None:
    """Delete a credential with its assignments."""
    tx.execute(delete(credential_assignments).where(credential_assignments.c.credential_id == credential_id))
    tx.execute(delete(credentials).where(credentials.c.id == credential_id))


def insert_assignment(tx: Transaction, assignment: Assignment) -> None:
    """Store a new assignment."""
    tx.execute(
        credential_assignments.insert().values(
            id=assignment.id,
            organization_id=assignment.organization_id,
            credential_id=assignment.credential_id,
            project_id=assignment.project_id,
            created_by=assignment.created_by,
            created_at=assignment.created_at,
        )
    )


def get_assignment(tx: Transaction, credential_id: CredentialId, project_id: ProjectId) -> Assignment | None:
    """Give the assignment of a credential to exactly this project."""
    this = (credential_assignments.c.credential_id == credential_id) & (
        credential_assignments.c.project_id == project_id
    )
    row = tx.execute(select(credential_assignments).where(this)).one_or_none()
    return None if row is None else _assignment(row)


def delete_assignment(tx: Transaction, credential_id: CredentialId, project_id: ProjectId) -> bool:
    """Delete an assignment; whether there was one."""
    this = (credential_assignments.c.credential_id == credential_id) & (
        credential_assignments.c.project_id == project_id
    )
    return tx.execute(delete(credential_assignments).where(this)).rowcount == 1


def assigned_to(tx: Transaction, project_ids: Sequence[ProjectId]) -> list[tuple[ProjectId, StoredCredential]]:
    """Give (project, credential) for every assignment to one of these projects, oldest assignment first."""
    query = (
        select(credential_assignments.c.project_id.label("assigned_to"), credentials)
        .join(credentials, credentials.c.id == credential_assignments.c.credential_id)
        .where(credential_assignments.c.project_id.in_(project_ids))
        .order_by(credential_assignments.c.id)
    )
    return [(ProjectId(row.assigned_to), _credential(row)) for row in tx.execute(query)]


def _json(value: Credential) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True)


def _credential(row: Row[Any]) -> StoredCredential:
    kind = CredentialKind(row.type)
    return StoredCredential(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        name=row.name,
        kind=kind,
        value=parse(kind, row.value),
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _assignment(row: Row[Any]) -> Assignment:
    return Assignment(
        id=row.id,
        organization_id=row.organization_id,
        credential_id=row.credential_id,
        project_id=row.project_id,
        created_by=row.created_by,
        created_at=row.created_at,
    )
