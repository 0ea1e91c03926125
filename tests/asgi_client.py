"""Requests straight to an ASGI application, without an HTTP client between: for tests that send very many."""

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from starlette.types import ASGIApp


@dataclass(frozen=True)
class Answer:
    """What the application answered."""

    status: int
    body: bytes


class AsgiClient:
    """Sends one request after the other, from a loop of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, bytes],
        body: bytes = b"",
        query: Mapping[str, str] | None = None,
        *,
        heard: Callable[[bytes], None] = lambda _: None,
    ) -> Answer:
        """Send a request; `heard` is told each part of the answer before the application goes on."""
        return self._loop.run_until_complete(self._sent(_scope(method, path, headers, query or {}), body, heard))

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _sent(self, scope: MutableMapping[str, Any], body: bytes, heard: Callable[[bytes], None]) -> Answer:
        status, parts = 0, []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))
                heard(parts[-1])

        await self._app(scope, receive, send)
        return Answer(status, b"".join(parts))


def _scope(method: str, path: str, headers: Mapping[str, bytes], query: Mapping[str, str]) -> dict[str, Any]:
    """Give what a server makes of a request (ASGI, HTTP connection scope)."""
    sent = [(name.lower().encode(), value) for name, value in headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path.encode(),
        "query_string": urlencode(query).encode(),
        "root_path": "",
        "headers": [(b"host", b"testserver"), *sent],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
