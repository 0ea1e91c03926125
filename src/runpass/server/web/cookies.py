"""The console's two cookies: of a session, and of the form that starts one.

SECURITY: the prefix `__Host-` makes browsers refuse them without `Secure`, with a domain, or for another path than `/`
(RFC 6265bis, section 4.1.3.2), so no neighbouring host can set one. Chromium and Firefox take them over plain HTTP from
the loopback interface alone.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from runpass.secret import Secret

SESSION: Final = "__Host-runpass-session"
SIGN_IN: Final = "__Host-runpass-sign-in"
_MOST: Final = 128


def cookie(request: Request, name: str) -> Secret | None:
    """Give the cookie that the browser sent, if it could be one of ours."""
    value = request.cookies.get(name, "")
    return Secret(value) if 0 < len(value) <= _MOST and value.isascii() else None


def set_cookie(response: Response, name: str, value: Secret) -> None:
    """Have the browser keep a cookie until it is closed."""
    response.set_cookie(name, value.reveal(), path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(response: Response, name: str) -> None:
    """Have the browser forget a cookie."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
