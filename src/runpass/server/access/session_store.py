"""Every query on sessions of the console."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select, update

from runpass.ids import ApiKeyId, OrganizationId, PersonId, SessionId
from runpass.server.access import people_store, store
from runpass.server.access.actors import Actor, ActorKind
from runpass.server.access.people_store import Person
from runpass.server.access.store import ApiKey
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.access import console_sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that is signed in as an API key or as a person: exactly one of the two."""

    id: SessionId
    organization_id: OrganizationId
    api_key_id: ApiKeyId | None
    person_id: PersonId | None
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ends_at: datetime
    """When it ends if no further page is asked for."""


def insert_session(tx: Transaction, session: Session, token_sha256: bytes) -> None:
    """Store a session and the digest of its bearer."""
    tx.execute(
        console_sessions.insert().values(
            id=session.id,
            organization_id=session.organization_id,
            api_key_id=session.api_key_id,
            person_id=session.person_id,
            token_sha256=token_sha256,
            address=session.address,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            ends_at=session.ends_at,
        )
    )


def find_session(tx: Transaction, token_sha256: bytes, now: datetime) -> tuple[Session, ApiKey | Person] | None:
    """Give the session of a bearer that has not ended, with the API key or the person as they are now."""
    mine = (console_sessions.c.token_sha256 == token_sha256) & (console_sessions.c.ends_at > now)
    row = tx.execute(select(console_sessions).where(mine)).one_or_none()
    if row is None:
        return None
    session = _session(row)
    owner: ApiKey | Person | None = None
    if session.api_key_id is not None:
        owner = store.get_api_key(tx, session.organization_id, session.api_key_id)
    elif session.person_id is not None:
        owner = people_store.get_person(tx, session.organization_id, session.person_id)
    return None if owner is None else (session, owner)


def list_sessions(tx: Transaction, actor: Actor, now: datetime) -> list[Session]:
    """Give the sessions of an API key or a person that have not ended, the newest first."""
    mine = _of(actor) & (console_sessions.c.ends_at > now)
    query = select(console_sessions).where(mine).order_by(console_sessions.c.id.desc())
    return [_session(row) for row in tx.execute(query)]


def touch_session(tx: Transaction, session_id: SessionId, now: datetime, ends_at: datetime) -> None:
    """Note that a page was asked for."""
    values = {"last_seen_at": now, "ends_at": ends_at}
    tx.execute(update(console_sessions).where(console_sessions.c.id == session_id).values(**values))


def delete_session(tx: Transaction, actor: Actor, session_id: SessionId) -> bool:
    """Delete a session of this API key or person; whether there was one."""
    mine = (console_sessions.c.id == session_id) & _of(actor)
    return tx.execute(delete(console_sessions).where(mine)).rowcount == 1


def delete_ended(tx: Transaction, now: datetime) -> None:
    """Delete the sessions that have ended by themselves."""
    tx.execute(delete(console_sessions).where(console_sessions.c.ends_at <= now))


def _of(actor: Actor) -> ColumnElement[bool]:
    """Give the condition that a session belongs to this API key or person."""
    owner = console_sessions.c.api_key_id if actor.kind is ActorKind.API_KEY else console_sessions.c.person_id
    return owner == actor.id


def _session(row: Row[Any]) -> Session:
    return Session(
        id=SessionId(row.id),
        organization_id=row.organization_id,
        api_key_id=row.api_key_id,
        person_id=row.person_id,
        address=row.address,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        ends_at=row.ends_at,
    )
