"""Accounts that a provider vouches for: made at the first sign-in, with the roles that the groups give at each.

SECURITY: an account is found by issuer and subject alone, never by a name or an e-mail address. It never has a
password, and nobody who has one is ever taken over.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import select

from runpass.ids import OrganizationId, PersonId, ProjectId, new_id
from runpass.server.access import people_store, store
from runpass.server.access.people import PROVIDER_PREFIX, about, add_person, person_actor, roles_of
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import ProjectRole
from runpass.server.access.sessions import end_sessions_of
from runpass.server.audit import record
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.tenancy import organizations
from runpass.server.openid.id_tokens import Proved
from runpass.server.openid.roles import Granted
from runpass.server.people import identity_store

BY: Final = "openid"
"""Who did it, in the audit trail: what the provider said, and no person of ours."""


def account_of(tx: Transaction, proved: Proved, granted: Granted | None, now: datetime) -> Person | None:
    """Give the person with the roles of this moment; None for somebody who has none here any more, or never had.

    Raises `Conflict` when the organization has too many people.
    """
    granted = _possible(tx, granted)
    person = identity_store.find_by_identity(tx, proved.issuer, proved.subject)
    if person is not None:
        store.lock_keys(tx, person.organization_id)
        if granted is None or granted.organization_id != person.organization_id:
            _remove(tx, person, now)
            person = None
    if granted is None:
        return None
    person = _made(tx, proved, granted, now) if person is None else _updated(tx, person, granted, now)
    identity_store.set_verified_email(tx, proved.issuer, proved.subject, proved.verified_email)
    return person


def _possible(tx: Transaction, granted: Granted | None) -> Granted | None:
    """Give what of it can be given: the organization and the projects that are there."""
    if granted is None:
        return None
    query = select(organizations.c.id).where(organizations.c.id == granted.organization_id)
    if tx.execute(query).one_or_none() is None:
        return None
    return replace(granted, project_roles=_there(tx, granted))


def _there(tx: Transaction, granted: Granted) -> dict[ProjectId, ProjectRole]:
    if not granted.project_roles:
        return {}
    there = store.existing_projects(tx, OrganizationId(granted.organization_id), granted.project_roles.keys())
    return {project: role for project, role in granted.project_roles.items() if project in there}


def _made(tx: Transaction, proved: Proved, granted: Granted, now: datetime) -> Person:
    person_id = PersonId(new_id())
    name = f"{PROVIDER_PREFIX}{person_id}"
    person = Person(
        id=person_id,
        organization_id=granted.organization_id,
        sign_in_name=name,
        sign_in_key=name,
        display_name=proved.name,
        organization_role=granted.organization_role,
        project_roles=dict(granted.project_roles),
        password_hash=None,
        invitation_sha256=None,
        invitation_ends_at=None,
        created_by=BY,
        created_at=now,
        last_sign_in_at=None,
        last_sign_in_source="",
    )
    add_person(tx, person, "person.joined", by=BY)
    identity_store.insert_identity(tx, proved.issuer, proved.subject, person.id)
    return person


def _updated(tx: Transaction, person: Person, granted: Granted, now: datetime) -> Person:
    role, on = granted.organization_role, dict(granted.project_roles)
    if (role, on) == (person.organization_role, person.project_roles):
        return person
    people_store.set_roles(tx, person.id, role, on)
    end_sessions_of(tx, person_actor(person), by=BY, now=now)
    changed = replace(person, organization_role=role, project_roles=on)
    record(tx, about(changed, "person.roles_changed", BY, now, roles_of(changed)))
    return changed


def _remove(tx: Transaction, person: Person, now: datetime) -> None:
    end_sessions_of(tx, person_actor(person), by=BY, now=now)
    people_store.delete_person(tx, person.id)
    record(tx, about(person, "person.removed", BY, now, {"signInName": person.sign_in_name}))
