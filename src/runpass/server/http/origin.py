"""Where the request came from that this code works for: its id and the client's address, for the audit trail.

Worker threads see the same, because a thread pool call takes the context along. Background work has no origin.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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


@contextmanager
def working_for(scope: Scope) -> Iterator[None]:
    """Let everything inside the block know which request it works for; the scope may still learn the address."""
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)


def route_template(scope: Scope) -> str:
    """Give the path of the route that was found, with its parameters' names: never what a client wrote."""
    route = scope.get("route")
    return scope.get("root_path", "") + route.path if isinstance(route, Route) else "unmatched"
