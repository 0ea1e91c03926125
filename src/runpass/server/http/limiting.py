"""How much one client may ask: requests per path, requests in all, and wrong credentials, each per window.

As env0's by default: 1000 requests in 60 seconds for each client address, method and path. It is counted before
anybody is authenticated, and in each server process by itself. Beside it, one address may make ten times as many over
all paths, so that made-up paths do not get around it; and only so many requests with wrong credentials, so that
guessing costs this server no database reads.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from secrets import token_bytes
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runpass.clock import Clock
from runpass.errors import TooManyRequests
from runpass.server.http.counting import WindowCounts
from runpass.server.http.errors import on_runpass_error

ALL_PATHS: Final = 10
"""How many times the limit of one path an address has over all paths."""
LOGIN_SECONDS: Final = 60.0
SIGN_IN: Final = "/console/sign-in"
"""Where people prove who they are: by a form, not by a header."""
JOIN: Final = "/console/join"
SET_UP: Final = "/console/set-up"
PASSWORD: Final = "/console/password"  # noqa: S105 -- a path
_PROVING_FORMS: Final = frozenset({SIGN_IN, JOIN, SET_UP, PASSWORD})
INTROSPECTION_PATH: Final = "/introspect"
_LIMITED_POSTS: Final = frozenset({"/runner/v1/register", INTROSPECTION_PATH})
_KNOWN: Final = 4_096
_IPV6_PREFIX: Final = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client address may do. Zero turns a limit off."""

    requests: int
    seconds: float
    failed_logins: int


class RequestLimit:
    """Answers 429 with `Retry-After` to whoever asks for more than its share of the management API and the console."""

    def __init__(
        self,
        app: ASGIApp,
        clock: Clock,
        limits: Limits,
        refuse: Callable[[Request, Exception], Awaitable[Response]] = on_runpass_error,
    ) -> None:
        self._app = app
        self._limits = limits
        self._refuse = refuse
        self._paths = WindowCounts(clock, limits.seconds)
        self._addresses = WindowCounts(clock, limits.seconds)
        self._failed = WindowCounts(clock, LOGIN_SECONDS)
        self._known = KnownCallers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http" or not is_limited(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        address, is_page = source(scope), is_console(scope["path"])
        # SECURITY: a page's credentials are in its form. A right header beside it would buy guesses in the form.
        credential = "" if is_page else Headers(scope=scope).get("authorization", "")
        try:
            self._check_share(address, scope["method"], scope["path"])
            if _proves(scope):
                self._check_logins(address, credential)
        except TooManyRequests as error:
            await (await self._refuse(Request(scope), error))(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._learn(address, credential, message["status"], is_page=is_page)
            await send(message)

        await self._app(scope, receive, answer)

    def _check_share(self, address: str, method: str, path: str) -> None:
        limit = self._limits.requests
        if not limit:
            return
        over_all = self._addresses.add(address) > limit * ALL_PATHS
        if self._paths.add(address, method, path) > limit or over_all:
            raise TooManyRequests(
                "too many requests from this address",
                retry_after_seconds=self._paths.seconds_left(),
                hint="wait as long as Retry-After says",
            )

    def _check_logins(self, address: str, credential: str) -> None:
        """Refuse an address that guessed too often. Callers that were right before are not made to pay for it."""
        limit = self._limits.failed_logins
        if limit and self._failed.count(address) >= limit and not self._known.knows(address, credential):
            raise TooManyRequests(
                "too many wrong credentials from this address",
                retry_after_seconds=self._failed.seconds_left(),
                hint="wait as long as Retry-After says",
            )

    def _learn(self, address: str, credential: str, status: int, *, is_page: bool) -> None:
        if status == HTTPStatus.UNAUTHORIZED:
            self._failed.add(address)
        elif status < HTTPStatus.MULTIPLE_CHOICES and not is_page:  # nothing of the API succeeds without credentials
            self._known.learn(address, credential)


class KnownCallers:
    """Who was right lately: at most 4,096 of them, as hashes with a key that nobody else has."""

    def __init__(self) -> None:
        self._key = token_bytes(16)
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def knows(self, address: str, credential: str) -> bool:
        """Whether these credentials were right, from this address, not long ago."""
        return self._hashed(address, credential) in self._seen

    def learn(self, address: str, credential: str) -> None:
        """Remember right credentials. SECURITY: only right ones come here, so guessing pushes nobody out."""
        hashed = self._hashed(address, credential)
        self._seen[hashed] = None
        self._seen.move_to_end(hashed)
        if len(self._seen) > _KNOWN:
            self._seen.popitem(last=False)

    def _hashed(self, address: str, credential: str) -> bytes:
        return blake2b(f"{address}\x00{credential}".encode(), digest_size=16, key=self._key).digest()


def is_limited(method: str, path: str) -> bool:
    """Whether a request counts: the management API, the console, the registration of runners, questions about tokens.

    Runners' other doors do not (they need a runner key, and wait on purpose), nor do the public documents.
    """
    is_api = path == "/api" or path.startswith("/api/")
    return is_api or is_console(path) or (method == "POST" and path in _LIMITED_POSTS)


def is_console(path: str) -> bool:
    """Whether a path is one of the console's pages."""
    return path == "/console" or path.startswith("/console/")


def _proves(scope: Scope) -> bool:
    """Whether a request brings credentials that could be guessed; a session's cookie could not."""
    return not is_console(scope["path"]) or (scope["method"] == "POST" and scope["path"] in _PROVING_FORMS)


def source(scope: Scope) -> str:
    """Give the address that a request counts for: IPv6 by its /64, which is one subscriber's (RFC 6177)."""
    text = str((scope.get("client") or ("",))[0])
    try:
        address = ip_address(text)
    except ValueError:
        return ""  # in-process, or a socket without addresses: all of them share one count
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), _IPV6_PREFIX), strict=False))
    return text
