"""What a form of ours sends, and that it is ours: sent by our own page, for the very session that the page was for.

SECURITY: `posted` is the only way to a form's fields, so no handler can forget to ask. Two checks, each enough where
the other one fails: where the browser says the request comes from, and a token that only our page has.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from runpass.errors import Forbidden, InvalidInput, PayloadTooLarge
from runpass.secret import Secret

FIELD: Final = "form_token"
_FORM: Final = "application/x-www-form-urlencoded"
MOST_BYTES: Final = 16_384
"""Of a form that says nothing else."""
_MOST_FIELDS: Final = 48
_NOT_OURS: Final = "this was not sent by a page of this console"


def form_token(cookie: Secret) -> str:
    """Give what a form carries that is sent beside this cookie. It does not tell the cookie."""
    return hmac.new(cookie.reveal().encode(), b"runpass console form", hashlib.sha256).hexdigest()


async def posted(request: Request, cookie: Secret, *, most_bytes: int = MOST_BYTES) -> Mapping[str, str]:
    """Give the fields of a form that our own page sent beside this cookie; lines end with LF alone.

    Raises `Forbidden` for what comes from elsewhere, `InvalidInput` for what is no form.
    """
    require_same_origin(request)
    fields = _fields(request.headers.get("content-type", ""), await request.body(), most_bytes)
    if not hmac.compare_digest(fields.get(FIELD, "").encode(), form_token(cookie).encode()):
        raise Forbidden(_NOT_OURS, hint="open the page again, and repeat")
    return fields


def require_same_origin(request: Request) -> None:
    """Raise `Forbidden` unless the browser says that a page of this very origin sent the request.

    Browsers send `Sec-Fetch-Site` over HTTPS and from the loopback interface, and no page can set it (Fetch Metadata,
    section 2.2). Older ones send `Origin`, which is compared with the public URL, never with `Host`; it is `null` from
    pages with our referrer policy (Fetch, section 3.2), so it counts where there is nothing better.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_ours = site == "same-origin" and origin in {None, "null", request.app.state.settings.public_url}
    else:
        is_ours = origin == request.app.state.settings.public_url
    if not is_ours:
        raise Forbidden(_NOT_OURS, hint=f"open the console at {request.app.state.settings.public_url}/console/")


def _fields(content_type: str, body: bytes, most_bytes: int) -> Mapping[str, str]:
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise InvalidInput("this takes a form")
    if len(body) > most_bytes:
        raise PayloadTooLarge("the form is too large")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise InvalidInput("this is no form") from error
    # Browsers end the lines of a text area with CR LF (HTML, section 4.10.21.4), which nobody typed.
    fields = {name: value.replace("\r\n", "\n") for name, value in pairs}
    if len(fields) < len(pairs):
        raise InvalidInput("the form has a field twice")
    return fields
