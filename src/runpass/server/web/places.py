"""Paths of the console, and which of them a browser may be sent to on somebody else's word."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from runpass.server.web.pages import redirection

CONSOLE: Final = "/console"
HOME: Final = "/console/"
SESSIONS: Final = "/console/sessions"
SET_UP: Final = "/console/set-up"
_LONGEST: Final = 512
_OURS: Final = re.compile(r"/console(?:/[A-Za-z0-9_-]+)*/?(?:\?[A-Za-z0-9_=&-]*)?")


async def to_home(_: Request) -> Response:
    """Send whoever typed the server's name alone, or left the slash out, to the first page."""
    return redirection(HOME)


def next_place(wanted: str) -> str:
    """Give the path that somebody wanted to see before signing in, or the first page.

    SECURITY: the whole text must be a plain path of the console, so no scheme, host, backslash, dot or escape is left
    to be read differently by a browser. Anything else could send people who have just signed in to somebody's copy.
    """
    return wanted if len(wanted) <= _LONGEST and _OURS.fullmatch(wanted) else HOME
