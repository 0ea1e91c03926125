"""Drawing pages: Jinja2 with everything escaped, and the headers that every answer of the console carries."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from runpass.server.http.wire import rfc3339
from runpass.server.web.navigation import Section, entries
from runpass.terminal_text import without_colours

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src {scripts}; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""SECURITY: a page names its scripts by a nonce of its own, never by `'unsafe-inline'` or `'unsafe-eval'`; what is no
page of ours gets `'none'`."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY.format(scripts="'none'"),
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
    organization_id: str
    permissions: frozenset[str]
    """What the visitor may do anywhere in the organization: what the navigation offers goes by it, nothing else."""
    is_person: bool = False
    """Not an API key."""


class Pages:
    """Gives pages and redirections. Threads may share it."""

    def __init__(self, sections: Iterable[Section] = ()) -> None:
        self._sections = tuple(sections)
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
        nonce = secrets.token_urlsafe(16)
        text = self._render(request, template, {**values, "nonce": nonce})
        policy = CONTENT_SECURITY_POLICY.format(scripts=f"'nonce-{nonce}'")
        return HTMLResponse(text, status, headers={**NO_STORE, "Content-Security-Policy": policy})

    def fragment(self, request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        """Give a part of a page, for a page that is open and asks for it. It has no scripts."""
        return HTMLResponse(self._render(request, template, values), status, headers=dict(NO_STORE))

    def text(self, request: Request, template: str, values: Mapping[str, Any]) -> str:
        """Give the HTML of a part of a page, for a stream of events."""
        return self._render(request, template, values)

    def _render(self, request: Request, template: str, values: Mapping[str, Any]) -> str:
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        navigation = (
            entries(self._sections, visitor.permissions, visitor.organization_id, request.url.path) if visitor else []
        )
        return self._environment.get_template(template).render(visitor=visitor, navigation=navigation, **values)


def redirection(path: str) -> Response:
    """Send a browser to a path of ours with GET."""
    return RedirectResponse(path, status_code=303, headers=dict(NO_STORE))


def _printed(value: object) -> object:
    return without_colours(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _moment(at: datetime) -> Markup:
    """Give a moment for people and for programs, in UTC."""
    shown = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(rfc3339(at), shown)
