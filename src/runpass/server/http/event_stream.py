"""An answer that goes on: server-sent events (HTML Standard, section 9.2), for as long as the client listens.

It holds neither a thread nor a database connection while nothing happens; what its frames do is up to them.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT: Final = ": still here\n\n"
"""A comment: it keeps proxies from taking the connection for dead."""
_NO_BUFFER: Final = {"X-Accel-Buffering": "no"}
"""nginx would else hold events back until it has 4 or 8 KiB of them."""


def event(name: str, data: Mapping[str, Any], event_id: str | None = None) -> str:
    """Give one event. `data` becomes JSON in ASCII, so no text in it can end a line; the id must be such a text too."""
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=True, separators=(',', ':'))}\n\n"


class EventStream(Response):
    """Sends frames as they come, until there are no more or the client is gone."""

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncGenerator[str], headers: Mapping[str, str], when_over: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(headers={**headers, **_NO_BUFFER})
        del self.headers["content-length"]
        self._frames = frames
        self._when_over = when_over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI's shape
        """Answer. `when_over` is called whatever happens."""
        going = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({going, gone}, return_when=asyncio.FIRST_COMPLETED)
            if going.done():
                going.result()
        finally:
            for task in (going, gone):
                task.cancel()
            await asyncio.gather(going, gone, return_exceptions=True)
            with suppress(Exception):
                await self._frames.aclose()
            self._when_over()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for frame in self._frames:
            await send({"type": "http.response.body", "body": frame.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
