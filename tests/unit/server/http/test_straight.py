"""The short way gives what the usual way gives, for every method, path and error."""

import re
from collections.abc import Sequence
from functools import cache

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from factories import MovingClock
from runpass.errors import Conflict, StaleLease, TooManyRequests, Unavailable
from runpass.server.http.errors import HANDLERS
from runpass.server.http.middleware import RequestShell
from runpass.server.http.straight import StraightWay

ERRORS = {
    "conflict": Conflict("the same is there"),
    "stale": StaleLease("too late"),
    "unavailable": Unavailable("not now"),
    "too-many": TooManyRequests("less", retry_after_seconds=7),
    "method": HTTPException(405),
    "ours": ValueError("a mistake of our own"),
}


async def document(request: Request) -> Response:
    return JSONResponse({"query": str(request.query_params)}, headers={"ETag": '"one"'})


async def echo(request: Request) -> Response:
    return JSONResponse([request.path_params, (await request.body()).decode()])


async def failing(request: Request) -> Response:
    raise ERRORS[request.path_params["kind"]]


@cache
def application(*, straight: bool) -> TestClient:
    routes = [
        Route("/document.json", document, methods=["GET"]),
        Route("/things/{thing}/echo", echo, methods=["POST"]),
        Route("/failing/{kind}", failing, methods=["GET"]),
        Route("/other", document, methods=["GET"]),
    ]
    short: Sequence[Middleware] = [Middleware(StraightWay, routes=routes[:3])] if straight else []
    app = Starlette(
        routes=routes, middleware=[Middleware(RequestShell, clock=MovingClock()), *short], exception_handlers=HANDLERS
    )
    app.router.redirect_slashes = False
    return TestClient(app)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS", "WORD"])
@pytest.mark.parametrize(
    "path",
    [
        "/document.json",
        "/document.json?a=1&b=%2F",
        "/document.json/",
        "/document%2ejson",
        "//document.json",
        "/things/7/echo",
        "/things/a%2Fb/echo",
        "/things//echo",
        "/things/7/echo/more",
        "/things/7/echo%0A",
        "/other",
        "/nothing",
        *(f"/failing/{kind}" for kind in ERRORS),
    ],
)
def test_both_ways_give_the_same_answer(method: str, path: str):
    answers = [application(straight=way).request(method, path, content="a body") for way in (True, False)]
    seen = [(item.status_code, _headers(item.headers), _without_id(item.text)) for item in answers]
    assert seen[0] == seen[1]


def _headers(headers: object) -> dict[str, str]:
    return {name: value for name, value in dict(headers).items() if name != "x-request-id"}  # type: ignore[call-overload]


def _without_id(text: str) -> str:
    return re.sub(r'"requestId":"[0-9a-f]{16}"', "", text)
