"""Pages of signing in and out, and of one's own sessions."""

from collections.abc import Mapping
from contextlib import suppress
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
from runpass.server.access.bearers import new_bearer
from runpass.server.access.refusals import Refusals
from runpass.server.access.sessions import IDLE, LIFETIME, end_session, start_session
from runpass.server.access.visits import Visit, visit
from runpass.server.http.limiting import source
from runpass.server.web.cookies import SESSION, SIGN_IN, cookie, drop_cookie, set_cookie
from runpass.server.web.errors import on_error, to_sign_in
from runpass.server.web.forms import form_token, posted, require_same_origin
from runpass.server.web.pages import redirection
from runpass.server.web.places import HOME, SESSIONS, next_place

_NO_COOKIE: Final = (
    "The browser did not keep the cookie of this form. Use HTTPS, or over plain HTTP on this machine a browser that"
    " keeps secure cookies there, such as Chromium or Firefox."
)
_WRONG: Final = "The API key id or its secret is wrong."


def sign_in_page(request: Request) -> Response:
    """Show the form; whoever is signed in goes on."""
    wanted = next_place(request.query_params.get("next", ""))
    with suppress(Unauthenticated):
        visit(request)
        return redirection(wanted)
    return _form(request, wanted)


async def sign_in(request: Request) -> Response:
    """Begin a session, always with a new bearer; a session that the browser had before is over."""
    token = cookie(request, SIGN_IN)
    if token is None:
        require_same_origin(request)
        return _form(request, HOME, _NO_COOKIE, HTTPStatus.BAD_REQUEST)
    fields = await posted(request, token)
    wanted = next_place(fields.get("next", ""))
    try:
        actor = await _proved(request, fields)
    except WrongSecret as error:
        if error.key is not None:
            refusals: Refusals = request.app.state.refusals
            refusals.wrong_secret(error.key)
        return _form(request, wanted, _WRONG, HTTPStatus.UNAUTHORIZED)
    answer = redirection(wanted)
    set_cookie(answer, SESSION, await run_in_threadpool(_start, request, actor))
    drop_cookie(answer, SIGN_IN)
    return answer


async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    who = await run_in_threadpool(visit, request)
    await posted(request, who.bearer)
    await run_in_threadpool(_end, request, who, who.session.id)
    return to_sign_in(request)


def sessions_page(request: Request) -> Response:
    """List the sessions of the visitor's API key."""
    who = visit(request)
    with request.app.state.database.read() as tx:
        found = session_store.list_sessions(tx, who.actor.key_id, request.app.state.clock.now())
    values = {
        "sessions": found,
        "own_id": who.session.id,
        "idle_minutes": int(IDLE.total_seconds() // 60),
        "lifetime_hours": int(LIFETIME.total_seconds() // 3600),
    }
    answer: Response = request.app.state.pages.page(request, "access/sessions.html", values)
    return answer


async def end_one_session(request: Request) -> Response:
    """End a session of the visitor's API key."""
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


async def _proved(request: Request, fields: Mapping[str, str]) -> Actor:
    state = request.app.state
    api_key_id, secret = fields.get("api_key_id", "").strip(), Secret(fields.get("api_key_secret", "").strip())
    if not api_key_id.isprintable():
        raise WrongSecret(None)
    async with state.logins.turn(source(request.scope), f"form {api_key_id}:{secret.reveal()}"):
        return await run_in_threadpool(prove, state.database, api_key_id, secret, state.clock)


def _start(request: Request, actor: Actor) -> Secret:
    with suppress(Unauthenticated, NotFound):
        before = visit(request)
        _end(request, before, before.session.id)
    with request.app.state.database.write() as tx:
        return start_session(tx, actor, request.app.state.clock.now())


def _end(request: Request, who: Visit, session_id: SessionId) -> None:
    with request.app.state.database.write() as tx:
        end_session(tx, who.actor, session_id, request.app.state.clock.now())


def _form(request: Request, wanted: str, problem: str = "", status: int = HTTPStatus.OK) -> Response:
    """Give the form. The cookie beside it stays the same in a browser that has several of these pages open."""
    token = cookie(request, SIGN_IN) or new_bearer("rpf")
    values = {"form_token": form_token(token), "next": wanted, "problem": problem}
    answer: Response = request.app.state.pages.page(request, "access/sign_in.html", values, status)
    set_cookie(answer, SIGN_IN, token)
    return answer
