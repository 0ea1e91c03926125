"""Every query on credentials and assignments."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, select, update

from runpass.ids import CredentialId, OrganizationId, ProjectId
from runpass.protocol.credentials import CredentialKind
from runpass.server.credentials.model import Assignment, SealedValue, StoredCredential
from runpass.server.db.changing import change_row
from runpass.server.db.engine import Transaction, insert_into
from runpass.server.db.schema.credentials import credential_assignments, credentials
from runpass.server.db.schema.tenancy import projects

# Two queries: one with a join may be answered by walking through all credentials of all organizations.
_ASSIGNED: Final = (
    select(credential_assignments.c.project_id, credential_assignments.c.credential_id)
    .where(credential_assignments.c.project_id.in_(bindparam("project_ids", expanding=True)))
    .order_by(credential_assignments.c.id)
)
_CREDENTIALS: Final = select(credentials).where(credentials.c.id.in_(bindparam("ids", expanding=True)))


class Hold(Enum):
    """What others may not do to a row while this transaction lasts. SQLite has one writer at a time anyway."""

    NOTHING = "they may do everything"
    DELETION = "they may not delete it"
    ALL = "they may neither delete it nor refer to it"


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; without a limit all that follows."""

    limit: int | None = None
    offset: int = 0


WHOLE = Page()


def insert_credential(tx: Transaction, credential: StoredCredential) -> None:
    """Store a new credential."""
    tx.execute(
        credentials.insert().values(
            id=credential.id,
            organization_id=credential.organization_id,
            project_id=credential.project_id,
            name=credential.name,
            type=credential.kind.value,
            value=dict(credential.value.clear),
            secret_sealed=credential.value.secret,
            created_by=credential.created_by,
            created_at=credential.created_at,
            updated_at=credential.updated_at,
        )
    )


def count_credentials(tx: Transaction, organization_id: OrganizationId) -> int:
    """Count an organization's credentials."""
    mine = credentials.c.organization_id == organization_id
    return int(tx.execute(select(func.count()).select_from(credentials).where(mine)).scalar_one())


def get_credential(
    tx: Transaction, organization_id: OrganizationId, credential_id: CredentialId, hold: Hold = Hold.NOTHING
) -> StoredCredential | None:
    """Give a credential of this organization."""
    mine = (credentials.c.id == credential_id) & (credentials.c.organization_id == organization_id)
    row = tx.execute(_holding(select(credentials).where(mine), hold)).one_or_none()
    return None if row is None else credential_of(row)


def list_credentials(
    tx: Transaction, organization_id: OrganizationId, visible: ColumnElement[bool] | None = None, page: Page = WHOLE
) -> list[StoredCredential]:
    """Give an organization's credentials, oldest first; with `visible` those of the projects that it holds for."""
    query = select(credentials).where(credentials.c.organization_id == organization_id)
    if visible is not None:
        query = query.join(projects, projects.c.id == credentials.c.project_id).where(visible)
    query = query.order_by(credentials.c.id).limit(page.limit).offset(page.offset or None)
    return [credential_of(row) for row in tx.execute(query)]


def page_of_kind(tx: Transaction, kind: CredentialKind, after: UUID, limit: int) -> list[StoredCredential]:
    """Give a part of the credentials of one kind of all organizations, oldest first: those after `after`."""
    query = select(credentials).where(credentials.c.id > after, credentials.c.type == kind.value)
    return [credential_of(row) for row in tx.execute(query.order_by(credentials.c.id).limit(limit))]


def change_value(tx: Transaction, seen: StoredCredential, value: SealedValue, now: datetime) -> datetime:
    """Replace the value of a credential that was read before; give when. Raises `Conflict` if it has changed since."""
    # What was recorded belongs to the role that the old value named.
    values = {"value": dict(value.clear), "secret_sealed": value.secret, "recorded": None}
    return change_row(tx, credentials, seen.id, values, seen=seen.updated_at, now=now)


def record_role(tx: Transaction, credential_id: CredentialId, recorded: Mapping[str, Any]) -> None:
    """Keep what was written at the Vault for a credential."""
    tx.execute(update(credentials).where(credentials.c.id == credential_id).values(recorded=dict(recorded)))


def delete_credential(tx: Transaction, credential_id: CredentialId) -> int:
    """Delete a credential with its assignments; give how many those were. The caller holds all of it."""
    its_own = credential_assignments.c.credential_id == credential_id
    assignments = tx.execute(delete(credential_assignments).where(its_own)).rowcount
    tx.execute(delete(credentials).where(credentials.c.id == credential_id))
    return assignments


def insert_assignment(tx: Transaction, assignment: Assignment) -> bool:
    """Store a new assignment, unless there is one already; whether this one is new."""
    values = {
        "id": assignment.id,
        "organization_id": assignment.organization_id,
        "credential_id": assignment.credential_id,
        "project_id": assignment.project_id,
        "created_by": assignment.created_by,
        "created_at": assignment.created_at,
    }
    new = insert_into(tx, credential_assignments).values(values)
    once = new.on_conflict_do_nothing(index_elements=["credential_id", "project_id"])
    return tx.execute(once.returning(credential_assignments.c.id)).one_or_none() is not None


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
    rows = tx.execute(_ASSIGNED, {"project_ids": project_ids}).all()
    ids = list({row.credential_id for row in rows})
    found = {row.id: credential_of(row) for row in tx.execute(_CREDENTIALS, {"ids": ids})} if rows else {}
    return [(ProjectId(row.project_id), found[row.credential_id]) for row in rows if row.credential_id in found]


def places_of(tx: Transaction, credential_ids: Collection[CredentialId]) -> set[tuple[CredentialId, ProjectId]]:
    """Give (credential, project) for every assignment of these credentials."""
    if not credential_ids:
        return set()
    columns = (credential_assignments.c.credential_id, credential_assignments.c.project_id)
    rows = tx.execute(select(*columns).where(credential_assignments.c.credential_id.in_(credential_ids)))
    return {(CredentialId(row.credential_id), ProjectId(row.project_id)) for row in rows}


def assigned_ids(tx: Transaction, project_id: ProjectId) -> list[CredentialId]:
    """Give the credentials that are assigned to exactly this project, oldest assignment first."""
    query = (
        select(credential_assignments.c.credential_id)
        .where(credential_assignments.c.project_id == project_id)
        .order_by(credential_assignments.c.id)
    )
    return [CredentialId(item) for item in tx.execute(query).scalars()]


def _holding(query: Select[Any], hold: Hold) -> Select[Any]:
    match hold:
        case Hold.NOTHING:
            return query
        case Hold.DELETION:
            return query.with_for_update(read=True, key_share=True)
        case Hold.ALL:
            return query.with_for_update()


def credential_of(row: Row[Any]) -> StoredCredential:
    """Give the record of a row of `credentials`."""
    return StoredCredential(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        name=row.name,
        kind=CredentialKind(row.type),
        value=SealedValue(row.value, row.secret_sealed),
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        recorded=row.recorded,
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
