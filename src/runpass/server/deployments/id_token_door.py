"""The door at which a job asks for a fresh identity token during its run, as GitHub's tools ask theirs.

`GET <url>&audience=…` with `Authorization: bearer …` answers `{"value": "<JWT>"}`. Whoever asks is known by a bearer
that is good for nothing else; every refusal of it looks the same.
"""

from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runpass.errors import Unauthenticated
from runpass.ids import RunLeaseId
from runpass.protocol.identity import ID_TOKEN_PATH
from runpass.secret import Secret
from runpass.server.deployments.identity import Passport


class IdTokenDoor:
    """What a job may ask of the server."""

    def __init__(self, passport: Passport) -> None:
        self._passport = passport

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [Route(f"{ID_TOKEN_PATH}/{{lease_id}}", self.token, methods=["GET"])]

    async def token(self, request: Request) -> Response:
        """Mint a workload identity token for the audience that is asked for; the shared one if none is."""
        if request.method != "GET":  # Starlette answers HEAD with what is for GET, and that would mint a token
            raise HTTPException(405)
        lease_id, bearer = _lease_id(request), _bearer(request)
        asked = request.query_params.getlist("audience")
        minted = await self._passport.issue_soon(self._passport.by_job(lease_id, bearer, asked))
        return JSONResponse({"value": minted.token.reveal()}, headers={"Cache-Control": "no-store"})


def _lease_id(request: Request) -> RunLeaseId:
    try:
        return RunLeaseId(UUID(request.path_params["lease_id"]))
    except ValueError as error:
        raise Unauthenticated("this needs the request token of a run that goes on") from error


def _bearer(request: Request) -> Secret:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("this needs the request token of a run that goes on")
    return Secret(token.strip())
