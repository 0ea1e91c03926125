"""Every query on people."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update

from runpass.ids import OrganizationId, PersonId, ProjectId
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.access import people


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody of an organization who may sign in to the console."""

    id: PersonId
    organization_id: OrganizationId
    sign_in_name: str
    sign_in_key: str
    """The same as it is compared."""
    display_name: str
    organization_role: OrganizationRole
    project_roles: dict[ProjectId, ProjectRole]
    password_hash: str | None
    invitation_sha256: bytes | None
    """Of the code with which the person sets a password; None once it was used."""
    invitation_ends_at: datetime | None
    created_by: str
    created_at: datetime
    last_sign_in_at: datetime | None
    last_sign_in_source: str
    """From where, as requests are counted; empty where nobody knows."""


def insert_person(tx: Transaction, person: Person) -> None:
    """Store a person."""
    tx.execute(
        people.insert().values(
            id=person.id,
            organization_id=person.organization_id,
            sign_in_name=person.sign_in_name,
            sign_in_key=person.sign_in_key,
            display_name=person.display_name,
            organization_role=person.organization_role.value,
            project_roles=_stored(person.project_roles),
            password_hash=person.password_hash,
            invitation_sha256=person.invitation_sha256,
            invitation_ends_at=person.invitation_ends_at,
            created_by=person.created_by,
            created_at=person.created_at,
            last_sign_in_at=person.last_sign_in_at,
            last_sign_in_source=person.last_sign_in_source,
        )
    )


def find_person(tx: Transaction, sign_in_key: str) -> Person | None:
    """Give whoever signs in under this name, in whichever organization."""
    row = tx.execute(select(people).where(people.c.sign_in_key == sign_in_key)).one_or_none()
    return None if row is None else _person(row)


def get_person(tx: Transaction, organization_id: OrganizationId, person_id: PersonId) -> Person | None:
    """Give a person of this organization."""
    mine = (people.c.id == person_id) & (people.c.organization_id == organization_id)
    row = tx.execute(select(people).where(mine)).one_or_none()
    return None if row is None else _person(row)


def list_people(tx: Transaction, organization_id: OrganizationId) -> list[Person]:
    """Give the people of an organization, those who came first before the others."""
    query = select(people).where(people.c.organization_id == organization_id).order_by(people.c.id)
    return [_person(row) for row in tx.execute(query)]


def people_named(
    tx: Transaction, organization_id: OrganizationId, person_ids: Collection[PersonId]
) -> Mapping[PersonId, Person]:
    """Give these people of an organization, as far as they are there."""
    mine = (people.c.organization_id == organization_id) & people.c.id.in_(person_ids)
    return {PersonId(row.id): _person(row) for row in tx.execute(select(people).where(mine))}


def count_people(tx: Transaction, organization_id: OrganizationId) -> int:
    """Give how many people an organization has."""
    query = select(func.count()).select_from(people).where(people.c.organization_id == organization_id)
    return int(tx.execute(query).scalar_one())


def count_admins(tx: Transaction, organization_id: OrganizationId) -> int:
    """Give how many admins of an organization can sign in: whoever is invited has yet to come."""
    mine = (people.c.organization_id == organization_id) & people.c.invitation_sha256.is_(None)
    admins = mine & (people.c.organization_role == OrganizationRole.ADMIN.value)
    return int(tx.execute(select(func.count()).select_from(people).where(admins)).scalar_one())


def set_roles(
    tx: Transaction, person_id: PersonId, role: OrganizationRole, on: Mapping[ProjectId, ProjectRole]
) -> None:
    """Change what a person may do."""
    values = {"organization_role": role.value, "project_roles": _stored(on)}
    tx.execute(update(people).where(people.c.id == person_id).values(**values))


def set_invitation(tx: Transaction, person_id: PersonId, code_sha256: bytes, ends_at: datetime) -> None:
    """Have a person set a password with a code; the one that there was is no more."""
    values = {"password_hash": None, "invitation_sha256": code_sha256, "invitation_ends_at": ends_at}
    tx.execute(update(people).where(people.c.id == person_id).values(**values))


def use_invitation(tx: Transaction, person_id: PersonId, code_sha256: bytes, now: datetime, password_hash: str) -> bool:
    """Put a password in the place of an invitation; False when it is not this one any more, or is over."""
    this = (people.c.id == person_id) & (people.c.invitation_sha256 == code_sha256)
    values = {"password_hash": password_hash, "invitation_sha256": None, "invitation_ends_at": None}
    return tx.execute(update(people).where(this, people.c.invitation_ends_at > now).values(**values)).rowcount == 1


def replace_password(tx: Transaction, person_id: PersonId, before: str, after: str) -> bool:
    """Put one hash in the place of another; False when that is not there any more."""
    this = (people.c.id == person_id) & (people.c.password_hash == before)
    return tx.execute(update(people).where(this).values(password_hash=after)).rowcount == 1


def note_sign_in(tx: Transaction, person_id: PersonId, now: datetime, source: str) -> None:
    """Note when a person signed in, and from where."""
    values = {"last_sign_in_at": now, "last_sign_in_source": source}
    tx.execute(update(people).where(people.c.id == person_id).values(**values))


def delete_person(tx: Transaction, person_id: PersonId) -> None:
    """Delete a person, and with it its sessions."""
    tx.execute(delete(people).where(people.c.id == person_id))


def _stored(roles: Mapping[ProjectId, ProjectRole]) -> dict[str, str]:
    return {str(project): role.value for project, role in roles.items()}


def _person(row: Row[Any]) -> Person:
    return Person(
        id=PersonId(row.id),
        organization_id=row.organization_id,
        sign_in_name=row.sign_in_name,
        sign_in_key=row.sign_in_key,
        display_name=row.display_name,
        organization_role=OrganizationRole(row.organization_role),
        project_roles={ProjectId(UUID(key)): ProjectRole(value) for key, value in row.project_roles.items()},
        password_hash=row.password_hash,
        invitation_sha256=row.invitation_sha256,
        invitation_ends_at=row.invitation_ends_at,
        created_by=row.created_by,
        created_at=row.created_at,
        last_sign_in_at=row.last_sign_in_at,
        last_sign_in_source=row.last_sign_in_source,
    )
