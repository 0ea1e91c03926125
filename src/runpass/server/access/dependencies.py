"""`Caller`: what a handler of the management API names to be called by API keys alone."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security.http import HTTPBase
from starlette.concurrency import run_in_threadpool

from runpass.server.access.actors import Actor
from runpass.server.access.api_keys import authenticate
from runpass.server.http.dependencies import Db, Now

BASIC = HTTPBase(
    scheme="basic", scheme_name="ApiKey", auto_error=False, description="User: the API key id. Password: its secret."
)
"""Documents the scheme in OpenAPI; the header itself is read here, so that one sentence answers every mistake."""


async def _caller(request: Request, database: Db, clock: Now, _: Annotated[object, Depends(BASIC)]) -> Actor:
    header = request.headers.get("authorization", "")
    return await run_in_threadpool(authenticate, database, header, clock)


Caller = Annotated[Actor, Depends(_caller)]
