"""People: under which names they sign in, how one is invited, and how one joins.

A person belongs to exactly one organization. SECURITY: nobody but the person ever knows the password. An admin gets a
code for the person, good for one use and three days; a code is typed into a form, because a link would leave it in
histories and logs.
"""

import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runpass.clock import Clock
from runpass.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from runpass.ids import OrganizationId, PersonId, ProjectId, new_id
from runpass.secret import Secret
from runpass.server.access import people_store, store
from runpass.server.access.actors import Actor, ActorKind
from runpass.server.access.bearers import Bearer, digest, new_bearer
from runpass.server.access.granting import check_projects, told
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Database, Transaction

INVITATION: Final = timedelta(hours=72)
MOST_PEOPLE: Final = 1_000
"""Of one organization."""
LONGEST_NAME: Final = 255
KEY_PREFIX: Final = "rpk_"
"""How the ids of API keys begin: the sign-in form tells them from people's names by it."""
PROVIDER_PREFIX: Final = "openid:"
"""How the sign-in names of people begin whom a provider vouches for: nobody types one."""
_NOBODY: Final = digest(new_bearer(Bearer.NOBODY))


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRequest:
    """What a new person is to be."""

    organization_id: OrganizationId
    sign_in_name: str
    display_name: str
    organization_role: OrganizationRole
    project_roles: Mapping[ProjectId, ProjectRole]


@dataclass(frozen=True, slots=True)
class Invited:
    """A person at the only moment the code of the invitation is known."""

    person: Person
    code: Secret


class WrongCode(Unauthenticated):
    """A name and a code that do not belong together, any more or at all. From outside, all of it looks the same."""


def sign_in_key(name: str) -> str:
    """Give a sign-in name as it is compared: however it is typed, in capitals or not (Unicode, section 3.13, D145)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def checked_sign_in_name(name: str) -> str:
    """Give a name under which somebody may sign in. Raises `InvalidInput`."""
    name = unicodedata.normalize("NFC", name.strip())
    if not name or len(name) > LONGEST_NAME:
        raise InvalidInput.of("signInName", f"must have 1 to {LONGEST_NAME} characters")
    if not name.isprintable() or any(character.isspace() for character in name):
        raise InvalidInput.of("signInName", "must be an e-mail address or a name, without spaces")
    if sign_in_key(name).startswith(KEY_PREFIX):
        raise InvalidInput.of("signInName", f"must not begin as the ids of API keys do ({KEY_PREFIX})")
    if sign_in_key(name).startswith(PROVIDER_PREFIX):
        raise InvalidInput.of("signInName", f"must not begin with {PROVIDER_PREFIX}")
    return name


def person_actor(person: Person) -> Actor:
    """Give the actor that a person is, with the roles that it has now."""
    return Actor(
        person.id,
        person.display_name,
        person.organization_id,
        person.organization_role,
        person.project_roles,
        ActorKind.PERSON,
    )


def invite_person(tx: Transaction, wanted: PersonRequest, *, by: str, clock: Clock) -> Invited:
    """Store a new person, who has yet to join, and the audit record.

    Raises `InvalidInput` for a name that is taken or for roles on projects that are not there, `Conflict` when the
    organization has too many people.
    """
    code, now = new_bearer(Bearer.INVITATION), clock.now()
    person = new_person(wanted, by=by, now=now, invitation=(digest(code), now + INVITATION))
    add_person(tx, person, "person.invited", by=by)
    return Invited(person, code)


def new_person(
    wanted: PersonRequest,
    *,
    by: str,
    now: datetime,
    password_hash: str | None = None,
    invitation: tuple[bytes, datetime] | None = None,
) -> Person:
    """Give a person as it is stored: with a password, or with an invitation to set one. Raises `InvalidInput`."""
    name = checked_sign_in_name(wanted.sign_in_name)
    return Person(
        id=PersonId(new_id()),
        organization_id=wanted.organization_id,
        sign_in_name=name,
        sign_in_key=sign_in_key(name),
        display_name=wanted.display_name,
        organization_role=wanted.organization_role,
        project_roles=dict(wanted.project_roles),
        password_hash=password_hash,
        invitation_sha256=invitation[0] if invitation else None,
        invitation_ends_at=invitation[1] if invitation else None,
        created_by=by,
        created_at=now,
        last_sign_in_at=None,
        last_sign_in_source="",
    )


def add_person(tx: Transaction, person: Person, action: str, *, by: str) -> None:
    """Store a person and the audit record. Raises as `invite_person`."""
    organization = person.organization_id
    store.lock_keys(tx, organization)
    check_projects(tx, organization, person.project_roles)
    if people_store.count_people(tx, organization) >= MOST_PEOPLE:
        raise Conflict(f"an organization has at most {MOST_PEOPLE} people", hint="remove people who have left")
    if people_store.find_person(tx, person.sign_in_key) is not None:
        raise InvalidInput.of("signInName", "is taken: somebody on this server signs in under it")
    people_store.insert_person(tx, person)
    record(tx, about(person, action, by, person.created_at, {"signInName": person.sign_in_name, **roles_of(person)}))


def invited_person(database: Database, name: str, code: Secret, now: datetime) -> Person:
    """Give the person whom a code was made for. Raises `WrongCode`, with one sentence whatever was wrong."""
    with database.read() as tx:
        person = people_store.find_person(tx, sign_in_key(name))
    stored = (person.invitation_sha256 if person else None) or _NOBODY
    is_right = hmac.compare_digest(digest(code), stored)
    if person is None or not is_right or person.invitation_ends_at is None or person.invitation_ends_at <= now:
        raise WrongCode("the name or the code is wrong, or the code was used, or is too old")
    return person


def join(tx: Transaction, person: Person, code: Secret, password_hash: str, now: datetime) -> Person:
    """Use an invitation up, and give the person with the password. Raises `WrongCode` if it was used meanwhile."""
    if not people_store.use_invitation(tx, person.id, digest(code), now, password_hash):
        raise WrongCode("the name or the code is wrong, or the code was used, or is too old")
    joined = found_person(tx, person.organization_id, person.id)
    record(tx, about(joined, "person.joined", person_actor(joined).audit_name, now))
    return joined


def found_person(tx: Transaction, organization_id: OrganizationId, person_id: PersonId) -> Person:
    """Give a person of this organization. Raises `NotFound`."""
    person = people_store.get_person(tx, organization_id, person_id)
    if person is None:
        raise NotFound("there is no such thing in this organization")
    return person


def roles_of(person: Person) -> dict[str, str]:
    """Give what the audit trail tells of a person's roles."""
    return {"organizationRole": person.organization_role.value, **told(person.project_roles)}


def about(person: Person, action: str, by: str, now: datetime, detail: Mapping[str, str] | None = None) -> AuditEvent:
    """Give the audit record of something that was done with a person."""
    return AuditEvent(now, by, action, "person", str(person.id), person.organization_id, detail or {})
