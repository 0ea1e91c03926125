"""Pages of signing in and out, and of one's own sessions."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Forbidden, NotFound, Unauthenticated
from runpass.ids import SessionId
from runpass.secret import Secret
from runpass.server.access import session_store
from runpass.server.access.actors import Actor
from runpass.server.access.api_keys import WrongSecret, prove
from runpass.server.access.entrances import NO_COOKIE, as_person, enter, entrance, posted_by_nobody
from runpass.server.access.people import KEY_PREFIX
from runpass.server.access.people_store import Person
from runpass.server.access.refusals import Refusals
from runpass.server.access.sessions import IDLE, LIFETIME, end_session, start_session
from runpass.server.access.sign_ins import SignIns, WrongPassword
from runpass.server.access.visits import Visit, visit
from runpass.server.http.limiting import source
from runpass.server.web.answering import answer_page
from runpass.server.web.errors import on_error, to_sign_in
from runpass.server.web.forms import posted
from runpass.server.web.pages import redirection
from runpass.server.web.places import HOME, SESSIONS, next_place

_WRONG: Final = "The name or the password is wrong, or the API key id or its secret."


def sign_in_page(request: Request) -> Response:
    """Show the form; whoever is signed in goes on."""
    wanted = next_place(request.query_params.get("next", ""))
    with suppress(Unauthenticated):
        visit(request)
        return redirection(wanted)
    return _form(request, wanted)


async def sign_in(request: Request) -> Response:
    """Begin a session of a person or of an API key: one form for both, which the name tells apart."""
    fields = await posted_by_nobody(request)
    if fields is None:
        return _form(request, HOME, NO_COOKIE, HTTPStatus.BAD_REQUEST)
    wanted = next_place(fields.get("next", ""))
    refusals: Refusals = request.app.state.refusals
    try:
        if fields.get("name", "").strip().startswith(KEY_PREFIX):
            actor = await _proved_key(request, fields)
            now = request.app.state.clock.now()
            return await enter(request, partial(start_session, actor=actor, now=now), wanted)
        return await enter(request, as_person(request, await _proved_person(request, fields)), wanted)
    except WrongSecret as error:
        if error.key is not None:
            refusals.wrong_secret(error.key)
    except WrongPassword as error:
        if error.person is not None:
            refusals.wrong_password(error.person)
    return _form(request, wanted, _WRONG, HTTPStatus.UNAUTHORIZED)


async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    who = await run_in_threadpool(visit, request)
    await posted(request, who.bearer)
    await run_in_threadpool(_end, request, who, who.session.id)
    return to_sign_in(request)


def sessions_page(request: Request) -> Response:
    """List the visitor's own sessions: those of the same person, or of the same API key."""
    who = visit(request)
    with request.app.state.database.read() as tx:
        found = session_store.list_sessions(tx, who.actor, request.app.state.clock.now())
    values = {
        "sessions": found,
        "own_id": who.session.id,
        "idle_minutes": int(IDLE.total_seconds() // 60),
        "lifetime_hours": int(LIFETIME.total_seconds() // 3600),
    }
    return answer_page(request, "access/sessions.html", values)


async def end_one_session(request: Request) -> Response:
    """End a session of the visitor's own."""
    who = await run_in_threadpool(visit, request)
    await posted(request, who.bearer)
    session_id = SessionId(uuid_in(request, "session_id"))
    await run_in_threadpool(_end, request, who, session_id)
    return to_sign_in(request) if session_id == who.session.id else redirection(SESSIONS)


async def on_forbidden(request: Request, error: Exception) -> Response:
    """Record who was not allowed what, as the management API does, and answer with a page."""
    assert isinstance(error, Forbidden)  # noqa: S101 -- registered for this type alone
    actor = getattr(request.state, "actor", None)
    if isinstance(actor, Actor):
        refusals: Refusals = request.app.state.refusals
        await run_in_threadpool(refusals.denied, actor, request, error)
    return await on_error(request, error)


def uuid_in(request: Request, name: str) -> UUID:
    """Give an id of the path. Raises `NotFound` for what is none."""
    try:
        return UUID(request.path_params[name])
    except ValueError:
        raise NotFound("there is no such thing in this organization") from None


ROUTES: Final = (
    Route("/sign-in", sign_in_page, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/sessions", sessions_page, methods=["GET"]),
    Route("/sessions/{session_id}/end", end_one_session, methods=["POST"]),
)


async def _proved_key(request: Request, fields: Mapping[str, str]) -> Actor:
    state = request.app.state
    api_key_id, secret = fields.get("name", "").strip(), Secret(fields.get("secret", "").strip())
    if not api_key_id.isprintable():
        raise WrongSecret(None)
    async with state.logins.turn(source(request.scope), f"form {api_key_id}:{secret.reveal()}"):
        return await run_in_threadpool(prove, state.database, api_key_id, secret, state.clock)


async def _proved_person(request: Request, fields: Mapping[str, str]) -> Person:
    sign_ins: SignIns = request.app.state.sign_ins
    name, password = fields.get("name", ""), Secret(fields.get("secret", ""))
    if not name.strip().isprintable():  # PostgreSQL could not even look for it
        raise WrongPassword(None)
    return await sign_ins.prove(name, password, source(request.scope))


def _end(request: Request, who: Visit, session_id: SessionId) -> None:
    with request.app.state.database.write() as tx:
        end_session(tx, who.actor, session_id, request.app.state.clock.now())


def _form(request: Request, wanted: str, problem: str = "", status: int = HTTPStatus.OK) -> Response:
    settings = request.app.state.settings
    values = {"next": wanted, "provider": settings.openid_name if settings.openid_issuer else ""}
    return entrance(request, "access/sign_in.html", values, problem, status)
