"""`Caller`: what a handler of the management API names to be called by API keys alone."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security.http import HTTPBase
from starlette.concurrency import run_in_threadpool

from runpass.server.access.actors import Actor
from runpass.server.access.api_keys import WrongSecret, authenticate
from runpass.server.access.logins import Logins
from runpass.server.access.refusals import Refusals
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.limiting import source

BASIC = HTTPBase(
    scheme="basic", scheme_name="ApiKey", auto_error=False, description="User: the API key id. Password: its secret."
)
"""Documents the scheme in OpenAPI; the header itself is read here, so that one sentence answers every mistake."""


async def _caller(request: Request, database: Db, clock: Now, _: Annotated[object, Depends(BASIC)]) -> Actor:
    header = request.headers.get("authorization", "")
    logins: Logins = request.app.state.logins
    try:
        async with logins.turn(source(request.scope), header):
            actor = await run_in_threadpool(authenticate, database, header, clock)
    except WrongSecret as error:
        if error.key is not None:
            refusals: Refusals = request.app.state.refusals
            refusals.wrong_secret(error.key)
        raise
    request.state.actor = actor
    return actor


Caller = Annotated[Actor, Depends(_caller)]
