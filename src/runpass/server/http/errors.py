"""Errors on the wire: one envelope, `{message, code, errors: [{field, message}], requestId, hint?}`.

SECURITY: an answer never repeats what was sent; the defaults of FastAPI and Pydantic would (`input`, `ctx`).
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runpass.errors import (
    AlreadyDestroyed,
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    InvalidJson,
    NotFound,
    NotOffered,
    PayloadTooLarge,
    PreconditionFailed,
    RunpassError,
    StaleLease,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from runpass.protocol.wire import MOST_ERRORS, NOT_JSON, sentence, summary

_log = structlog.get_logger(__name__)

STATUS: tuple[tuple[type[RunpassError], int], ...] = (
    (InvalidJson, 400),
    (InvalidInput, 422),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (AlreadyDestroyed, 400),
    (Conflict, 409),
    (PreconditionFailed, 412),
    (PayloadTooLarge, 413),
    (TooManyRequests, 429),
    (NotOffered, 501),
    (Unavailable, 503),
)

ENVELOPE_CODES = frozenset(
    {kind.code for kind, _ in STATUS}
    | {StaleLease.code, "clear_text", "method_not_allowed", "http_error", "internal"}
    | {"address_too_long", "headers_too_large"}
)
"""Every `code` that an answer can carry."""


def status_of(error: RunpassError) -> int:
    """Give the HTTP status of an error; 500 for one that no client could have caused."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def envelope(
    request: Request,
    status: int,
    message: str,
    code: str,
    *,
    errors: Sequence[FieldError] = (),
    hint: str | None = None,
) -> Response:
    """Give the answer for an error."""
    body: dict[str, Any] = {
        "message": message,
        "code": code,
        "errors": [{"field": item.field, "message": item.message} for item in errors[:MOST_ERRORS]],
        "requestId": request.scope.get("request_id", ""),
    }
    if hint:
        body["hint"] = hint
    headers = {"WWW-Authenticate": 'Basic realm="runpass"'} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(body, status, headers)


async def on_runpass_error(request: Request, error: Exception) -> Response:
    """Answer one of our own errors."""
    assert isinstance(error, RunpassError)  # noqa: S101 -- registered for this type alone
    status = status_of(error)
    if status >= 500 and not isinstance(error, NotOffered):  # noqa: PLR2004
        _log.error("request.failed", code=error.code, message=error.message, exc_info=error)
    if status == 500:  # noqa: PLR2004
        return await on_unhandled(request, error)
    errors = error.errors if isinstance(error, InvalidInput) else ()
    answer = envelope(request, status, error.message, error.code, errors=errors, hint=error.hint)
    if isinstance(error, TooManyRequests):
        answer.headers["Retry-After"] = str(max(1, error.retry_after_seconds))
    return answer


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer a request that does not fit its schema: 400 for broken JSON, 422 with the bad fields otherwise."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this type alone
    details = error.errors()
    if any(detail["type"] == "json_invalid" for detail in details):
        return envelope(request, 400, NOT_JSON, InvalidJson.code)
    found = [FieldError(_field(detail["loc"]), sentence(detail)) for detail in details[:MOST_ERRORS]]
    return envelope(request, 422, summary(found, len(details)), InvalidInput.code, errors=found)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses: unknown routes, wrong methods."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this type alone
    names = {404: ("not_found", "there is no such route"), 405: ("method_not_allowed", "this route has another method")}
    code, message = names.get(error.status_code, ("http_error", "the request was refused"))
    answer = envelope(request, error.status_code, message, code)
    answer.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_allowed(request)))
    return answer


def _allowed(request: Request) -> set[str]:
    """Give the methods of every route of this path; the framework names those of the first one only.

    Where a word stands where another route has an id, the route with the word is the one that is meant.
    """
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    found: dict[str, set[str]] = {}
    for route in iter_route_contexts(request.app.routes):
        if route.path and route.methods and route.path_regex.match(path):
            found.setdefault(route.path, set()).update(route.methods)
    return found[min(found, key=lambda template: template.count("{"))] if found else set()


async def on_unhandled(request: Request, error: Exception) -> Response:
    """Answer a failure of our own with nothing but the request's id; the log has the rest."""
    _log.error("request.crashed", exc_info=error)
    return envelope(request, 500, "something went wrong here; the server's log has the request id", "internal")


HANDLERS: dict[Any, Any] = {
    RunpassError: on_runpass_error,
    RequestValidationError: on_invalid_request,
    HTTPException: on_http_exception,
    Exception: on_unhandled,
}


def _field(location: Sequence[object]) -> str:
    parts = [str(part) for part in location]
    if parts and parts[0] in {"body", "query", "path", "header"} and len(parts) > 1:
        parts = parts[1:]
    return ".".join(parts)
