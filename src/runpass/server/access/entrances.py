"""What the forms of people who are not signed in yet share: a cookie of their own, and the session that they begin."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from runpass.errors import NotFound, Unauthenticated
from runpass.secret import Secret
from runpass.server.access.bearers import Bearer, new_bearer
from runpass.server.access.people_store import Person
from runpass.server.access.sessions import end_session, start_session_of
from runpass.server.access.visits import visit
from runpass.server.db.engine import Transaction
from runpass.server.http.limiting import source
from runpass.server.web.cookies import SESSION, SIGN_IN, cookie, drop_cookie, set_cookie
from runpass.server.web.forms import form_token, posted, require_same_origin
from runpass.server.web.pages import redirection

NO_COOKIE: Final = (
    "The browser did not keep the cookie of this form. Use HTTPS, or over plain HTTP on this machine a browser that"
    " keeps secure cookies there, such as Chromium or Firefox."
)


def entrance(
    request: Request, template: str, values: Mapping[str, Any], problem: str = "", status: int = HTTPStatus.OK
) -> Response:
    """Give a form. The cookie beside it stays the same in a browser that has several of these pages open."""
    token = cookie(request, SIGN_IN) or new_bearer(Bearer.FORM)
    about = {**values, "form_token": form_token(token), "problem": problem}
    answer: Response = request.app.state.pages.page(request, template, about, status)
    set_cookie(answer, SIGN_IN, token)
    return answer


async def posted_by_nobody(request: Request) -> Mapping[str, str] | None:
    """Give the fields of a form of ours; None when the browser did not keep its cookie."""
    token = cookie(request, SIGN_IN)
    if token is None:
        require_same_origin(request)
        return None
    return await posted(request, token)


async def enter(request: Request, start: Callable[[Transaction], Secret], place: str) -> Response:
    """Begin a session, always with a new bearer, and go to a page; a session that the browser had before is over."""
    answer = redirection(place)
    set_cookie(answer, SESSION, await run_in_threadpool(_begin, request, start))
    drop_cookie(answer, SIGN_IN)
    return answer


def as_person(request: Request, person: Person) -> Callable[[Transaction], Secret]:
    """Give what begins a session of a person who has just proved itself."""
    now = request.app.state.clock.now()
    return lambda tx: start_session_of(tx, person, source(request.scope), now)


def _begin(request: Request, start: Callable[[Transaction], Secret]) -> Secret:
    now = request.app.state.clock.now()
    with suppress(Unauthenticated, NotFound):
        before = visit(request)
        with request.app.state.database.write() as tx:
            end_session(tx, before.actor, before.session.id, now)
    with request.app.state.database.write() as tx:
        return start(tx)
