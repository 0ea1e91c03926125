"""Where the request came from that this code works for: its id and the client's address, for the audit trail.

Worker threads see the same, because a thread pool call takes the context along. Background work has no origin.
"""

from contextvars import ContextVar, Token
from dataclasses import dataclass

from starlette.routing import Route
from starlette.types import Scope

_MOST = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """A request: its id, and the address behind trusted proxies. Both are empty outside of a request."""

    request_id: str = ""
    address: str = ""


_current: ContextVar[Scope | None] = ContextVar("runpass_request_scope", default=None)


def origin() -> Origin:
    """Give the origin of the work that is going on."""
    scope = _current.get()
    if scope is None:
        return Origin()
    address = (scope.get("client") or ("",))[0]
    return Origin(str(scope.get("request_id", ""))[:_MOST], str(address)[:_MOST])


class working_for:  # noqa: N801 -- used as a function; a generator would cost every request 3 microseconds more
    """Let everything inside the block know which request it works for; the scope may still learn the address."""

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._token: Token[Scope | None] = _current.set(self._scope)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def route_template(scope: Scope) -> str:
    """Give the path of the route that was found, with its parameters' names: never what a client wrote."""
    route = scope.get("route")
    return scope.get("root_path", "") + route.path if isinstance(route, Route) else "unmatched"
