"""What happens to every request before any route: an id, a limit on its body, its metrics and its log line."""

import secrets
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runpass.clock import Clock
from runpass.observability.metrics import REQUEST_SECONDS
from runpass.server.http.errors import on_unhandled

_log = structlog.get_logger(__name__)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TOO_LARGE: Final = b'{"message":"the body is too large","code":"payload_too_large","errors":[],"requestId":"%b"}'


class RequestShell:
    """Gives each request an id, reads its body up to a limit, and records how long it took."""

    def __init__(self, app: ASGIApp, clock: Clock, max_body_bytes: int) -> None:
        self._app = app
        self._clock = clock
        self._limit = max_body_bytes

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
                _finish_headers(MutableHeaders(scope=message), request_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                body = await self._read(scope, receive)
                if body is None:
                    await _refuse(answer, request_id)
                else:
                    await self._app(scope, _replay(body, receive), answer)
            except Exception as error:  # noqa: BLE001 -- the last one who can answer
                # SECURITY: it ends here. Above us it would be printed a second time, by rules that are not ours.
                if status == 0:
                    await (await on_unhandled(Request(scope), error))(scope, receive, answer)
            finally:
                self._record(scope, status, self._clock.monotonic() - started)

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

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = scope.get("root_path", "") + route.path if isinstance(route, Route) else "unmatched"
        method = scope["method"] if scope["method"] in _METHODS else "other"  # a client may send any word it likes
        REQUEST_SECONDS.labels(method, path, str(status)).observe(seconds)
        _log.info("request", method=method, route=path, status=status, milliseconds=round(seconds * 1000, 1))


def _finish_headers(headers: MutableHeaders, request_id: str) -> None:
    headers["X-Request-Id"] = request_id
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"


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


async def _refuse(send: Send, request_id: str) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": _TOO_LARGE % request_id.encode()})
