"""A short way to the few routes that nearly all requests are for: identity tokens and the issuer's documents.

The framework looks at one route after the other, wraps each call in four functions of its own, and does so inside two
more layers: 0.03 ms of CPU for each request (measured beside `bench/tokens.py`), as much as the web server takes. Here
the same endpoints are called with the same `Request`, inside the same limits, and their errors are answered by the same
handlers. Only what surrounds them is less. Whatever is not exactly one of these routes goes the usual way.
"""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runpass.errors import RunpassError
from runpass.server.http.errors import on_http_exception, on_runpass_error


class StraightWay:
    """Answers the requests for some routes, and hands on all others.

    The routes must be the application's own too: it answers them for other methods, and lists them. Their endpoints are
    coroutines. No other route of the application may match what one of these matches.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self._app = app
        self._by_path = {route.path: route for route in routes if not route.param_convertors}
        self._with_ids = [route for route in routes if route.param_convertors]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._route(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive, send)
        await (await _answer(route, request))(scope, receive, send)

    def _route(self, scope: Scope) -> Route | None:
        """Give the route for this path and method, with what its path says in the scope."""
        for route in (self._by_path.get(scope["path"]), *self._with_ids):
            if route is None:
                continue
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return route
        return None


async def _answer(route: Route, request: Request) -> Response:
    """Give the endpoint's answer, or that for its error. Any other exception is for those around us."""
    try:
        response: Response = await route.endpoint(request)
    except RunpassError as error:
        return await on_runpass_error(request, error)
    except HTTPException as error:
        return await on_http_exception(request, error)
    return response
