"""The first run: whoever has the set-up token makes the first organization, and is its admin.

SECURITY: an installation that nobody owns yet would belong to whoever finds it first. The token is shown to the
operator alone, is good once and for an hour, and only while there is no organization. One row holds its SHA-256, so all
processes of a server have the same one.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select

from runpass.clock import Clock
from runpass.errors import NotFound, Unauthenticated
from runpass.secret import Secret
from runpass.server.access.bearers import Bearer, digest, new_bearer
from runpass.server.access.people import PersonRequest, add_person, new_person
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import OrganizationRole
from runpass.server.db.engine import Database, Transaction, insert_into
from runpass.server.db.schema.instance import instance
from runpass.server.tenancy import store
from runpass.server.tenancy.founding import add_organization

LIFETIME: Final = timedelta(hours=1)
FILE_NAME: Final = "set-up-token"
"""In the data directory, where the token is when nobody looked at the terminal."""
SETTER_UP: Final = "set-up"
"""Who made the first organization, in the audit trail."""
_ROW: Final = "set_up_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOnes:
    """The first organization and its admin."""

    organization: str
    sign_in_name: str
    display_name: str


class WrongToken(Unauthenticated):
    """A set-up token that is none, or none any more. From outside, both look the same."""

    def __init__(self) -> None:
        super().__init__("the set-up token is wrong, was used, or is too old")


def needs_set_up(database: Database) -> bool:
    """Whether there is no organization yet."""
    with database.read() as tx:
        return not store.has_organizations(tx)


def make_token(database: Database, clock: Clock, *, anew: bool = False) -> Secret | None:
    """Give a set-up token, once; None where there is an organization, or a token that is still good.

    With `anew` one that is still good ends, and this one takes its place.
    """
    token, now = new_bearer(Bearer.SET_UP), clock.now()
    with database.write() as tx:
        if store.has_organizations(tx):
            return None
        before = _stored(tx)
        if before is not None:
            if not anew and _ends_at(before) > now:
                return None
            _use_up(tx, before)
        value = f"{digest(token).hex()} {(now + LIFETIME).isoformat()}"
        put = insert_into(tx, instance).values(name=_ROW, value=value).on_conflict_do_nothing()
        is_ours = tx.execute(put.returning(instance.c.name)).one_or_none() is not None
    return token if is_ours else None  # else another server was faster at the same moment


def check_token(database: Database, token: Secret, now: datetime) -> str:
    """Give what is stored of a token that is right. Raises `WrongToken`; `NotFound` when nothing is left to set up."""
    with database.read() as tx:
        if store.has_organizations(tx):
            raise NotFound("there is no such page")
        stored = _stored(tx)
    is_right = hmac.compare_digest(digest(token).hex(), (stored or "").partition(" ")[0])
    if stored is None or not is_right or _ends_at(stored) <= now:
        raise WrongToken
    return stored


def set_up(tx: Transaction, stored: str, wanted: FirstOnes, password_hash: str, now: datetime) -> Person:
    """Use the token up; make the first organization and its admin. Raises `WrongToken` when somebody was faster."""
    if not _use_up(tx, stored) or store.has_organizations(tx):
        raise WrongToken
    organization = add_organization(tx, wanted.organization, by=SETTER_UP, now=now)
    request = PersonRequest(
        organization_id=organization.id,
        sign_in_name=wanted.sign_in_name,
        display_name=wanted.display_name,
        organization_role=OrganizationRole.ADMIN,
        project_roles={},
    )
    person = new_person(request, by=SETTER_UP, now=now, password_hash=password_hash)
    add_person(tx, person, "person.joined", by=SETTER_UP)
    return person


def _stored(tx: Transaction) -> str | None:
    return tx.execute(select(instance.c.value).where(instance.c.name == _ROW)).scalar_one_or_none()


def _ends_at(stored: str) -> datetime:
    return datetime.fromisoformat(stored.partition(" ")[2])


def _use_up(tx: Transaction, stored: str) -> bool:
    """Whether the token was still there. The row is deleted, so of two at the same moment one comes too late."""
    this = (instance.c.name == _ROW) & (instance.c.value == stored)
    return tx.execute(delete(instance).where(this)).rowcount == 1
