"""Errors as pages, with the statuses that the API has for them. Whoever has to sign in is sent there."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from runpass.errors import RunpassError, TooManyRequests, Unauthenticated
from runpass.server.http.errors import on_runpass_error, status_of
from runpass.server.http.limiting import SIGN_IN, is_console
from runpass.server.web.cookies import SESSION, cookie, drop_cookie
from runpass.server.web.pages import NO_STORE, Pages, redirection
from runpass.server.web.places import HOME, next_place

_log = structlog.get_logger(__name__)
_TITLES: Final = {
    HTTPStatus.FORBIDDEN: "Not allowed",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not ready",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong",
}
_OURS: Final = "something went wrong here; the server's log has the request id"
_INTERNAL: Final = int(HTTPStatus.INTERNAL_SERVER_ERROR)

Answerer = Callable[[Request, Exception], Awaitable[Response]]


async def on_error(request: Request, error: Exception) -> Response:
    """Answer one of our own errors."""
    assert isinstance(error, RunpassError)  # noqa: S101 -- registered for this type alone
    if isinstance(error, Unauthenticated):
        return _load_again() if request.headers.get("hx-request") == "true" else to_sign_in(request)
    status = status_of(error)
    if status >= _INTERNAL:
        _log.error("request.failed", code=error.code, message=error.message, exc_info=error)
    message, hint = (_OURS, None) if status == _INTERNAL else (error.message, error.hint)
    return _asking_to_wait(_message(request.app.state.pages, request, status, message, hint), error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this type alone
    said = {404: "there is no such page", 405: "this page has another method"}
    message = said.get(error.status_code, "the request was refused")
    answer = _message(request.app.state.pages, request, error.status_code, message, None)
    answer.headers.update(error.headers or {})
    return answer


async def on_unhandled(request: Request, error: Exception) -> Response:
    """Answer a failure of our own with nothing but the request's id; the log has the rest."""
    _log.error("request.crashed", exc_info=error)
    return _message(request.app.state.pages, request, _INTERNAL, _OURS, None)


HANDLERS: Final[dict[Any, Any]] = {
    RunpassError: on_error,
    HTTPException: on_http_exception,
    Exception: on_unhandled,
}


def refusing(pages: Pages) -> Answerer:
    """Give what answers requests that are refused before any route: a page below the console, else the envelope."""

    async def answer(request: Request, error: Exception) -> Response:
        if not isinstance(error, TooManyRequests) or not is_console(request.url.path):
            return await on_runpass_error(request, error)
        return _asking_to_wait(_message(pages, request, status_of(error), error.message, error.hint), error)

    return answer


def in_sentences(error: RunpassError) -> str:
    """Give an error as a page says it beside its form: what is wrong, then what to do."""
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in (error.message, error.hint) if text)


def to_sign_in(request: Request) -> Response:
    """Send a browser to the sign-in, from where it comes back to the page that it wanted."""
    query = f"?{request.url.query}" if request.url.query else ""
    wanted = next_place(request.url.path + query) if request.method == "GET" else HOME
    answer = redirection(SIGN_IN if wanted == HOME else f"{SIGN_IN}?{urlencode({'next': wanted})}")
    # SECURITY: another site's form comes without the cookie (SameSite), and would sign people out if it dropped it.
    if cookie(request, SESSION) is not None:
        drop_cookie(answer, SESSION)
    return answer


def _load_again() -> Response:
    """Have an open page that asks for a part of itself loaded again: the sign-in is no part of it."""
    return Response(status_code=204, headers={**NO_STORE, "HX-Refresh": "true"})


def _asking_to_wait(page: Response, error: RunpassError) -> Response:
    if isinstance(error, TooManyRequests):
        page.headers["Retry-After"] = str(max(1, error.retry_after_seconds))
    return page


def _message(pages: Pages, request: Request, status: int, message: str, hint: str | None) -> Response:
    values = {
        "title": _TITLES.get(HTTPStatus(status), "Refused"),
        "message": message,
        "hint": hint,
        "request_id": request.scope.get("request_id", ""),
    }
    return pages.page(request, "message.html", values, status)
