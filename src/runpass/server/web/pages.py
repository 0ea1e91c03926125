"""Drawing pages: Jinja2 with everything escaped, and the headers that every answer of the console carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from runpass.server.http.wire import rfc3339
from runpass.terminal_text import without_colours

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'none';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""No page has a script yet. SECURITY: one that gets one gets a nonce of its own, never `'unsafe-inline'`."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
NO_STORE: Final[Mapping[str, str]] = {**HEADERS, "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in, as every page shows it."""

    name: str
    form_token: str


class Pages:
    """Gives pages and redirections. Threads may share it."""

    def __init__(self) -> None:
        # SECURITY: what is printed is escaped for HTML, a name that is missing is an error, and what could turn the
        # reading direction or hide is shown as an escape. No template has to remember any of it.
        self._environment = Environment(
            loader=PackageLoader("runpass.server.web"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_printed,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters["moment"] = _moment

    def page(self, request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        """Give a page. `visitor` is whoever `request.state` says is signed in."""
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        text = self._environment.get_template(template).render(visitor=visitor, **values)
        return HTMLResponse(text, status, headers=dict(NO_STORE))


def redirection(path: str) -> Response:
    """Send a browser to a path of ours with GET."""
    return RedirectResponse(path, status_code=303, headers=dict(NO_STORE))


def _printed(value: object) -> object:
    return without_colours(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _moment(at: datetime) -> Markup:
    """Give a moment for people and for programs, in UTC."""
    shown = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(rfc3339(at), shown)
