"""Errors on the wire: one envelope, `{message, code, errors: [{field, message}], requestId, hint?}`.

SECURITY: an answer never repeats what was sent; the defaults of FastAPI and Pydantic would (`input`, `ctx`).
"""

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runpass.errors import (
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    InvalidJson,
    NotFound,
    PayloadTooLarge,
    RunpassError,
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
    (Conflict, 409),
    (PayloadTooLarge, 413),
    (Unavailable, 503),
)


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
    headers = {"WWW-Authenticate": 'Basic realm="runpass"'} if status == 401 else None  # noqa: PLR2004
    return JSONResponse(body, status, headers)


async def on_runpass_error(request: Request, error: Exception) -> Response:
    """Answer one of our own errors."""
    assert isinstance(error, RunpassError)  # noqa: S101 -- registered for this type alone
    status = status_of(error)
    if status >= 500:  # noqa: PLR2004
        _log.error("request.failed", code=error.code, message=error.message, exc_info=error)
    if status == 500:  # noqa: PLR2004
        return await on_unhandled(request, error)
    errors = error.errors if isinstance(error, InvalidInput) else ()
    return envelope(request, status, error.message, error.code, errors=errors, hint=error.hint)


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
    return answer


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
