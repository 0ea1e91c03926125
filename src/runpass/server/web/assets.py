"""What pages need beside themselves: read once, served by ourselves, from a fixed list."""

import hashlib
from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.server.web.pages import HEADERS

_MEDIA_TYPES: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.js": "text/javascript",
    "log.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class Assets:
    """Serves the assets. They are nobody's secret, and a browser asks whether they have changed."""

    def __init__(self) -> None:
        folder = files("runpass.server.web") / "assets"
        self._bodies = {name: (folder / name).read_bytes() for name in _MEDIA_TYPES}
        self._tags = {name: f'"{hashlib.sha256(body).hexdigest()[:32]}"' for name, body in self._bodies.items()}

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [Route("/assets/{name}", self.asset, methods=["GET"])]

    async def asset(self, request: Request) -> Response:
        """Answer one asset, or 304 to whoever has it."""
        name = request.path_params["name"]
        if name not in self._bodies:
            raise HTTPException(404)
        headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": self._tags[name]}
        if request.headers.get("if-none-match") == self._tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(self._bodies[name], media_type=_MEDIA_TYPES[name], headers=headers)
