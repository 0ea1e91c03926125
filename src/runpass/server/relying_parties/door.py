"""The introspection door (RFC 7662): `POST /introspect` with `token=…`, answered with `{"active": …}`.

SECURITY: to a relying party, every token that does not count looks the same, byte for byte, and so does every body that
holds none. Tokens stand in no log line.
"""

from typing import Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runpass.server.http.limiting import INTROSPECTION_PATH
from runpass.server.issuer.verifying import MOST_CHARACTERS
from runpass.server.relying_parties.introspection import Introspection

INACTIVE: Final = b'{"active": false}'
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_BYTES: Final = 4 * MOST_CHARACTERS
_MOST_FIELDS: Final = 16


class IntrospectionDoor:
    """What relying parties may ask of the server."""

    def __init__(self, introspection: Introspection) -> None:
        self._introspection = introspection

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [Route(INTROSPECTION_PATH, self.introspect, methods=["POST"])]

    async def introspect(self, request: Request) -> Response:
        """Say whether a token counts, to a relying party whose audience it has."""
        authorization = request.headers.get("authorization", "")
        token = _token(request.headers.get("content-type", ""), await request.body())
        told = await run_in_threadpool(self._introspection.ask, authorization, token)
        headers = {"Cache-Control": "no-store"}
        if told is None:
            return Response(INACTIVE, media_type="application/json", headers=headers)
        return JSONResponse(told, headers=headers)


def _token(content_type: str, body: bytes) -> str | None:
    """Give the one token of a form (RFC 7662, section 2.1); None for everything else."""
    if content_type.partition(";")[0].strip().lower() != _FORM or len(body) > _MOST_BYTES:
        return None
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    tokens = [value for name, value in pairs if name == "token"]
    return tokens[0] if len(tokens) == 1 else None
