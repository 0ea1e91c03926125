"""Refusals in the audit trail: each in a transaction of its own, after whatever was refused has been undone.

A refusal that cannot be recorded stays what it is: the caller gets its answer, and the log gets the failure.
"""

import asyncio
import threading
from datetime import datetime, timedelta

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from runpass.clock import Clock
from runpass.server.access.actors import Actor, ActorKind, Denied
from runpass.server.access.people_store import Person
from runpass.server.access.store import ApiKey
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Database
from runpass.server.http.errors import on_runpass_error
from runpass.server.http.origin import route_template

_log = structlog.get_logger(__name__)
_SELDOM = timedelta(minutes=1)
_MOST_REMEMBERED = 10_000


class Refusals:
    """Records what was refused. Threads may share it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[str, datetime] = {}
        self._turn = threading.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    def note(self, event: AuditEvent) -> None:
        """Record a refusal, if that can be written now."""
        try:
            with self._database.write() as tx:
                record(tx, event)
        except Exception as error:  # noqa: BLE001 -- whatever it is, a refusal must not become a failure
            _log.error("audit.not_recorded", action=event.action, kind=type(error).__name__)

    def note_seldom(self, event: AuditEvent, what: str) -> None:
        """Record a refusal at most once a minute for the same `what`: repeating it must not fill the trail."""
        if self._is_time(what, event.at):
            self.note(event)

    def denied(self, actor: Actor, request: Request, error: Exception) -> None:
        """Record that a known caller was not allowed something, at most once a minute for each route.

        SECURITY: else every key, even one that may do nothing, could fill the trail and take the database's turns.
        """
        route = f"{request.method} {route_template(request.scope)}"
        detail = {"route": route[:255]}
        if isinstance(error, Denied):
            detail["permission"] = error.permission.value
        organization = actor.organization_id
        subject_kind = "api_key" if actor.kind is ActorKind.API_KEY else "person"
        at, by = self._clock.now(), actor.audit_name
        event = AuditEvent(at, by, "access.denied", subject_kind, str(actor.id), organization, detail)
        self.note_seldom(event, " ".join((by, *detail.values())))

    def wrong_secret(self, key: ApiKey) -> None:
        """Record, a little later, that somebody named this key without knowing its secret.

        SECURITY: nobody waits for it. An answer that took longer would tell that there is such a key.
        """
        at = self._clock.now()
        self._note_later(AuditEvent(at, "unknown", "api_key.refused", "api_key", str(key.id), key.organization_id))

    def wrong_password(self, person: Person) -> None:
        """Record, a little later, that somebody named this person without knowing the password; nobody waits either."""
        at, organization = self._clock.now(), person.organization_id
        self._note_later(AuditEvent(at, "unknown", "person.refused", "person", str(person.id), organization))

    def _note_later(self, event: AuditEvent) -> None:
        what = f"{event.subject_kind}:{event.subject_id}"
        task = asyncio.create_task(run_in_threadpool(self.note_seldom, event, what))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _is_time(self, what: str, now: datetime) -> bool:
        with self._turn:
            last = self._noted.get(what)
            if last is not None and now - last < _SELDOM:
                return False
            if len(self._noted) >= _MOST_REMEMBERED:
                self._noted = {item: at for item, at in self._noted.items() if now - at < _SELDOM}
            self._noted[what] = now
            return True


async def on_forbidden(request: Request, error: Exception) -> Response:
    """Record who was not allowed what, and answer. Callers that nobody knows are only in the log."""
    actor = getattr(request.state, "actor", None)
    refusals = getattr(request.app.state, "refusals", None)
    if isinstance(actor, Actor) and isinstance(refusals, Refusals):
        await run_in_threadpool(refusals.denied, actor, request, error)
    return await on_runpass_error(request, error)
