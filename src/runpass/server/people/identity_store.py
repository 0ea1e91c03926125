"""Every query on who people are at a provider of OpenID Connect."""

from sqlalchemy import select, update

from runpass.ids import OrganizationId, PersonId
from runpass.server.access import people_store
from runpass.server.access.people_store import Person
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.access import people, person_identities


def find_by_identity(tx: Transaction, issuer: str, subject: str) -> Person | None:
    """Give the person whom this provider knows by this subject, in whichever organization."""
    mine = (person_identities.c.issuer == issuer) & (person_identities.c.subject == subject)
    query = select(people.c.id, people.c.organization_id).join_from(
        person_identities, people, person_identities.c.person_id == people.c.id
    )
    row = tx.execute(query.where(mine)).one_or_none()
    return None if row is None else people_store.get_person(tx, OrganizationId(row.organization_id), PersonId(row.id))


def has_identity(tx: Transaction, person_id: PersonId) -> bool:
    """Whether a provider vouches for this person."""
    query = select(person_identities.c.person_id).where(person_identities.c.person_id == person_id)
    return tx.execute(query).one_or_none() is not None


def verified_email(tx: Transaction, organization_id: OrganizationId, person_id: PersonId) -> str | None:
    """Give the address of a person of this organization that the provider called verified at the last sign-in."""
    query = select(person_identities.c.verified_email).join(people, people.c.id == person_identities.c.person_id)
    mine = (person_identities.c.person_id == person_id) & (people.c.organization_id == organization_id)
    return tx.execute(query.where(mine)).scalar_one_or_none()


def set_verified_email(tx: Transaction, issuer: str, subject: str, email: str | None) -> None:
    """Keep what the provider said of this subject's address just now; None: that no address of it is verified."""
    mine = (person_identities.c.issuer == issuer) & (person_identities.c.subject == subject)
    tx.execute(update(person_identities).where(mine).values(verified_email=email))


def insert_identity(tx: Transaction, issuer: str, subject: str, person_id: PersonId) -> None:
    """Store that this provider knows the person by this subject. Raises `Conflict` when it knows somebody already."""
    tx.execute(person_identities.insert().values(issuer=issuer, subject=subject, person_id=person_id))
