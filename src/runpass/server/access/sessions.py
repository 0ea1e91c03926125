"""Sessions of the console: a browser that is signed in as an API key or a person, for a while.

A session has no rights of its own. What it may do is looked up with every page: what its API key or person may do now.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool

from runpass.clock import Clock
from runpass.errors import Conflict, NotFound, RunpassError, Unauthenticated, Unavailable
from runpass.ids import ApiKeyId, PersonId, SessionId, new_id
from runpass.secret import Secret
from runpass.server.access import people_store, session_store, store
from runpass.server.access.actors import Actor, ActorKind
from runpass.server.access.api_keys import actor_of
from runpass.server.access.bearers import Bearer, digest, new_bearer
from runpass.server.access.people import person_actor
from runpass.server.access.people_store import Person
from runpass.server.access.session_store import Session
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Database, Transaction
from runpass.server.http.origin import origin

_log = structlog.get_logger(__name__)
LIFETIME: Final = timedelta(hours=12)
IDLE: Final = timedelta(minutes=60)
MOST_SESSIONS: Final = 20
"""Of one API key or person. One more ends the oldest."""
FORGET_EVERY_SECONDS: Final = 60.0
_TOUCH_EVERY: Final = timedelta(minutes=1)


def start_session(tx: Transaction, actor: Actor, now: datetime) -> Secret:
    """Begin a session of an API key that has just proved itself; give its bearer, which is new each time.

    Raises `NotFound` when the key was deleted meanwhile.
    """
    store.lock_keys(tx, actor.organization_id)
    if store.get_api_key(tx, actor.organization_id, ApiKeyId(actor.id)) is None:
        raise NotFound("the API key is gone")
    return _start(tx, actor, now)


def start_session_of(tx: Transaction, person: Person, source: str, now: datetime) -> Secret:
    """Begin a session of a person whose password was just found to be right; give its bearer, new each time.

    Raises `Unauthenticated` when the password, or the person, is another one since.
    """
    store.lock_keys(tx, person.organization_id)
    current = people_store.get_person(tx, person.organization_id, person.id)
    if current is None or current.password_hash != person.password_hash:
        raise Unauthenticated("the password was changed meanwhile")
    people_store.note_sign_in(tx, person.id, now, source)
    return _start(tx, person_actor(current), now)


def _start(tx: Transaction, actor: Actor, now: datetime) -> Secret:
    for old in session_store.list_sessions(tx, actor, now)[MOST_SESSIONS - 1 :]:
        end_session(tx, actor, old.id, now)
    bearer = new_bearer(Bearer.SESSION)
    session = Session(
        id=SessionId(new_id()),
        organization_id=actor.organization_id,
        api_key_id=ApiKeyId(actor.id) if actor.kind is ActorKind.API_KEY else None,
        person_id=PersonId(actor.id) if actor.kind is ActorKind.PERSON else None,
        address=origin().address,
        created_at=now,
        last_seen_at=now,
        expires_at=now + LIFETIME,
        ends_at=now + IDLE,
    )
    session_store.insert_session(tx, session, digest(bearer))
    record(tx, _event(actor, "session.started", session.id, now))
    return bearer


def find_session(database: Database, bearer: Secret, clock: Clock, *, is_use: bool = True) -> tuple[Session, Actor]:
    """Give the session of a bearer, and who it is, with the roles of this moment. Raises `Unauthenticated`.

    Where it `is_use`, the session goes on for a while; a page that is only open does not use it.
    """
    now = clock.now()
    with database.read() as tx:
        found = session_store.find_session(tx, digest(bearer), now)
    if found is None:
        raise Unauthenticated("this session is over")
    session, owner = found
    if is_use and now - session.last_seen_at >= _TOUCH_EVERY:
        _touch(database, session, now)
    return session, person_actor(owner) if isinstance(owner, Person) else actor_of(owner)


def end_session(tx: Transaction, actor: Actor, session_id: SessionId, now: datetime) -> None:
    """End a session of the actor's own. Raises `NotFound` for any other one."""
    end_session_of(tx, actor, session_id, by=actor.audit_name, now=now)


def end_session_of(tx: Transaction, owner: Actor, session_id: SessionId, *, by: str, now: datetime) -> None:
    """End a session of this owner. Raises `NotFound` for any other one."""
    if not session_store.delete_session(tx, owner, session_id):
        raise NotFound("there is no such session")
    record(tx, AuditEvent(now, by, "session.ended", "session", str(session_id), owner.organization_id))


def end_sessions_of(tx: Transaction, owner: Actor, *, by: str, now: datetime) -> None:
    """End every session of this owner."""
    for session in session_store.list_sessions(tx, owner, now):
        end_session_of(tx, owner, session.id, by=by, now=now)


async def forget_sessions(database: Database, clock: Clock) -> None:
    """Forget sessions that are over, for as long as the server runs."""
    while True:
        await asyncio.sleep(FORGET_EVERY_SECONDS)
        try:
            await run_in_threadpool(forget_once, database, clock)
        except RunpassError as error:
            _log.warning("sessions.not_forgotten", code=error.code, message=error.message)


def forget_once(database: Database, clock: Clock) -> None:
    """Look once."""
    with database.write() as tx:
        session_store.delete_ended(tx, clock.now())


def _touch(database: Database, session: Session, now: datetime) -> None:
    """Note that a page was asked for, if that can be written now; else the session ends as if none had been."""
    try:
        with database.write() as tx:
            session_store.touch_session(tx, session.id, now, min(session.expires_at, now + IDLE))
    except (Unavailable, Conflict) as error:
        _log.warning("session.use_not_noted", code=error.code, message=error.message)


def _event(actor: Actor, action: str, session_id: SessionId, now: datetime) -> AuditEvent:
    return AuditEvent(now, actor.audit_name, action, "session", str(session_id), actor.organization_id)
