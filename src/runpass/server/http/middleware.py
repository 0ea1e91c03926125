"""What happens to every request before any route: an id, limits on its size, its metrics and its log line."""

import secrets
from typing import Final

import structlog
from prometheus_client import Histogram
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runpass.clock import Clock
from runpass.errors import PayloadTooLarge
from runpass.observability.logging import says_info
from runpass.observability.metrics import REQUEST_SECONDS
from runpass.server.http.errors import envelope, on_unhandled
from runpass.server.http.origin import route_template, working_for

LONGEST_ADDRESS_BYTES: Final = 8_192
"""Path and query together."""
MOST_HEADER_BYTES: Final = 32_768
_log = structlog.get_logger(__name__)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestShell:
    """Gives each request an id of our own, whatever the client sent, and records how long it took.

    It stands outside everything else, so that every answer carries the id and every request is in the log.
    """

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._seconds: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope["request_id"] = request_id
        started = self._clock.monotonic()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _finish_headers(message, request_id)
            await send(message)

        tokens = structlog.contextvars.bind_contextvars(request_id=request_id)
        with working_for(scope):
            try:
                await self._app(scope, receive, answer)
            except Exception as error:  # noqa: BLE001 -- the last one who can answer
                # SECURITY: it ends here. Above us it would be printed a second time, by rules that are not ours.
                if status == 0:
                    await (await on_unhandled(Request(scope), error))(scope, receive, answer)
            finally:
                self._record(scope, status, self._clock.monotonic() - started)
                structlog.contextvars.reset_contextvars(**tokens)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        path = route_template(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"  # a client may send any word it likes
        seen = self._seconds.get((method, path, status))
        if seen is None:  # as many as there are labels: looking one up costs more than counting
            seen = self._seconds[method, path, status] = REQUEST_SECONDS.labels(method, path, str(status))
        seen.observe(seconds)
        if says_info():
            _log.info("request", method=method, route=path, status=status, milliseconds=round(seconds * 1000, 1))


class SizeLimit:
    """Refuses addresses, headers and bodies beyond a size, and hands on a body that has been read whole."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._limit = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_ADDRESS_BYTES:
            refusal = envelope(Request(scope), 414, "the address is too long", "address_too_long")
        elif sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            refusal = envelope(Request(scope), 431, "the headers are too large", "headers_too_large")
        elif (body := await self._read(scope, receive)) is not None:
            await self._app(scope, _replay(body, receive), send)
            return
        else:
            refusal = envelope(Request(scope), 413, "the body is too large", PayloadTooLarge.code)
        await refusal(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Give the whole body, or None when it is larger than the limit. Every door needs it whole anyway."""
        if scope["method"] in {"GET", "HEAD"}:
            return b""
        declared = Headers(scope=scope).get("content-length", "0")
        if not (declared.isascii() and declared.isdigit()) or int(declared) > self._limit:
            return None
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(chunks)
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._limit:
                return None
            if not message.get("more_body", False):
                return b"".join(chunks)


_UNLESS_THERE: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def _finish_headers(message: Message, request_id: str) -> None:
    """Add the headers of every answer to the raw ones (ASGI: lower-case names)."""
    headers = message["headers"] = list(message.get("headers", ()))
    there = {name for name, _ in headers}
    headers.append((b"x-request-id", request_id.encode()))
    for name, value in _UNLESS_THERE:
        if name not in there:
            headers.append((name, value))


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a `receive` that hands out the body once and then waits for the client to go away."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
