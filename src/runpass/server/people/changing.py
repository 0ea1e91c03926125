"""What is done with people who are there: other roles, a new invitation, a new password, removal.

Whatever changes what somebody may do, or how somebody proves to be that person, ends the sessions begun before.
SECURITY: an organization that has an admin who can sign in keeps one.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from runpass.clock import Clock
from runpass.errors import Conflict
from runpass.ids import OrganizationId, PersonId, ProjectId
from runpass.server.access import people_store, store
from runpass.server.access.actors import Actor
from runpass.server.access.bearers import Bearer, digest, new_bearer
from runpass.server.access.granting import check_projects
from runpass.server.access.people import INVITATION, Invited, about, found_person, person_actor, roles_of
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.access.sessions import end_sessions_of
from runpass.server.audit import record
from runpass.server.db.engine import Transaction
from runpass.server.people import identity_store


def change_roles(
    tx: Transaction,
    caller: Actor,
    person_id: PersonId,
    *,
    role: OrganizationRole,
    on: Mapping[ProjectId, ProjectRole],
    now: datetime,
) -> None:
    """Give a person other roles.

    Raises `NotFound`, `InvalidInput` for projects that are not there, `Conflict` for the last admin and for people
    whose roles come from a provider's groups.
    """
    person = _held(tx, caller.organization_id, person_id)
    _check_is_ours(tx, person)
    check_projects(tx, caller.organization_id, on)
    if (role, dict(on)) == (person.organization_role, person.project_roles):
        return
    if role is not OrganizationRole.ADMIN:
        _check_not_last(tx, person)
    people_store.set_roles(tx, person.id, role, on)
    changed = replace(person, organization_role=role, project_roles=dict(on))
    end_sessions_of(tx, person_actor(person), by=caller.audit_name, now=now)
    record(tx, about(person, "person.roles_changed", caller.audit_name, now, roles_of(changed)))


def invite_again(tx: Transaction, caller: Actor, person_id: PersonId, clock: Clock) -> Invited:
    """Take a person's password away and give the code with which the person sets another one.

    Raises `NotFound`, and `Conflict` for the last admin, who would be nobody until the code is used, and for people
    who sign in with a provider.
    """
    person = _held(tx, caller.organization_id, person_id)
    _check_is_ours(tx, person)
    _check_not_last(tx, person)
    code, now = new_bearer(Bearer.INVITATION), clock.now()
    people_store.set_invitation(tx, person.id, digest(code), now + INVITATION)
    end_sessions_of(tx, person_actor(person), by=caller.audit_name, now=now)
    record(tx, about(person, "person.invited", caller.audit_name, now))
    return Invited(found_person(tx, caller.organization_id, person.id), code)


def remove_person(tx: Transaction, caller: Actor, person_id: PersonId, now: datetime) -> None:
    """Remove a person and end all sessions. API keys that the person made stay: they are the organization's.

    Raises `NotFound`, and `Conflict` for the last admin.
    """
    person = _held(tx, caller.organization_id, person_id)
    _check_not_last(tx, person)
    end_sessions_of(tx, person_actor(person), by=caller.audit_name, now=now)
    people_store.delete_person(tx, person.id)
    record(tx, about(person, "person.removed", caller.audit_name, now, {"signInName": person.sign_in_name}))


def change_password(tx: Transaction, person: Person, password_hash: str, now: datetime) -> Person:
    """Put another password in the place of the one that was just found to be right; every session ends.

    Raises `Conflict` when it was changed meanwhile.
    """
    if person.password_hash is None or not people_store.replace_password(
        tx, person.id, person.password_hash, password_hash
    ):
        raise Conflict("the password was changed meanwhile", hint="sign in again")
    who = person_actor(person)
    end_sessions_of(tx, who, by=who.audit_name, now=now)
    record(tx, about(person, "person.password_changed", who.audit_name, now))
    return replace(person, password_hash=password_hash)


def _held(tx: Transaction, organization_id: OrganizationId, person_id: PersonId) -> Person:
    """Give a person whom nobody else changes until the end of the transaction."""
    store.lock_keys(tx, organization_id)
    return found_person(tx, organization_id, person_id)


def _check_is_ours(tx: Transaction, person: Person) -> None:
    # SECURITY: with a password of their own they could come back after the provider has let them go.
    if identity_store.has_identity(tx, person.id):
        raise Conflict(
            "this person signs in with a provider, which says the roles",
            hint="change the person's groups there, or what they mean in openid_roles_file",
        )


def _check_not_last(tx: Transaction, person: Person) -> None:
    is_one = person.organization_role is OrganizationRole.ADMIN and person.invitation_sha256 is None
    if is_one and people_store.count_admins(tx, person.organization_id) == 1:
        raise Conflict(
            "this is the organization's last admin who can sign in",
            hint="make somebody else an admin first, who then joins",
        )
