"""The page of an organization's audit trail: events by who, what, on what and when; and the same as lines of JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput
from runpass.ids import OrganizationId
from runpass.server.access.audit_api import answer_of
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.users import users
from runpass.server.access.visits import visit
from runpass.server.trail import store
from runpass.server.trail.looking import Found, look
from runpass.server.trail.store import Wanted
from runpass.server.web.fields import errors_of
from runpass.server.web.navigation import ORGANIZATIONS, Section
from runpass.server.web.pages import NO_STORE
from runpass.server.web.paging import PAGE

MOST_LINES: Final = 1_000
"""Events of one download, as of one answer of the API."""
FILTERS: Final = ("action", "actor", "subjectId", "from", "to")
_LONGEST: Final = 255
_BIGGEST: Final = 2**63 - 1
_YEARS: Final = range(1970, 3000)
_PAGES: Final = {
    "deployment": "/console/deployments/{}",
    "environment": "/console/environments/{}/deployments",
    "project": "/console/projects/{}",
}
"""Where the things stand that events are about."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as the page shows it."""

    event: Row[Any]
    by: str
    """The actor's name, where one is known."""
    page: str
    """The page of the thing that it is about; empty where there is none."""
    of_actor: str
    """The page with this actor's events."""
    of_subject: str


def audit_page(request: Request) -> Response:
    """Show events, the newest first."""
    organization = _allowed(request)
    given = _given(request)
    wanted, wrong = _wanted(request, given)
    with request.app.state.database.read() as tx:
        found = Found((), None) if wrong else look(tx, organization, wanted)
        head = store.head(tx, organization)
        people = users(tx, organization, {event.actor for event in found.events})
    here = f"{ORGANIZATIONS}/{organization}/audit"
    values = {
        "here": here,
        "rows": [_row(here, event, people[event.actor].name or "") for event in found.events],
        "given": given,
        "wrong": wrong,
        "is_filtered": any(given.values()),
        "is_later": wanted.before is not None,
        "newest": _path(here, given),
        "further": _path(here, {**given, "before": str(found.before)}) if found.before else "",
        "lines": _path(f"{here}/events.jsonl", {**given, "before": str(wanted.before or "")}),
        "most_lines": MOST_LINES,
        "head": head,
    }
    status = 422 if wrong else 200
    answer: Response = request.app.state.pages.page(request, "access/audit.html", values, status)
    return answer


def audit_lines(request: Request) -> Response:
    """Give the events of the page, and those before them, as lines of JSON: each as the API has it.

    SECURITY: in ASCII, so that no name in it reaches the terminal that the file is shown in.
    """
    organization = _allowed(request)
    wanted, wrong = _wanted(request, _given(request), MOST_LINES)
    if wrong:
        name, said = next(iter(wrong.items()))
        raise InvalidInput.of(name, said)
    with request.app.state.database.read() as tx:
        found = look(tx, organization, wanted)
    lines = (answer_of(event).model_dump(mode="json", by_alias=True) for event in found.events)
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    headers = {**NO_STORE, "Content-Disposition": 'attachment; filename="audit-events.jsonl"'}
    return Response(text, media_type="application/x-ndjson", headers=headers)


NAVIGATION: Final = (Section("Audit", "audit", Permission.VIEW_AUDIT, 80),)
ROUTES: Final = (
    Route("/organizations/{organization_id}/audit", audit_page, methods=["GET"]),
    Route("/organizations/{organization_id}/audit/events.jsonl", audit_lines, methods=["GET"]),
)


def _allowed(request: Request) -> OrganizationId:
    actor, organization = visit(request).actor, OrganizationId(uuid_in(request, "organization_id"))
    actor.require_organization(organization, Permission.VIEW_AUDIT)
    return organization


def _given(request: Request) -> dict[str, str]:
    """Give the filters. A text with a NUL is one that PostgreSQL could not even look for."""
    query = request.query_params
    return {name: query.get(name, "").strip().replace("\x00", "")[:_LONGEST] for name in FILTERS}


def _wanted(request: Request, given: Mapping[str, str], limit: int = PAGE) -> tuple[Wanted, Mapping[str, str]]:
    """Give what is asked for, and what is wrong with it by the name of its field."""
    wrong: dict[str, str] = {}
    moments: dict[str, datetime | None] = {}
    for name in ("from", "to"):
        try:
            moments[name] = _moment(name, given[name])
        except InvalidInput as error:
            wrong |= errors_of(error)
    wanted = Wanted(
        limit,
        _before(request),
        given["action"] or None,
        given["subjectId"] or None,
        actor=given["actor"] or None,
        since=moments.get("from"),
        until=moments.get("to"),
    )
    return wanted, wrong


def _moment(name: str, text: str) -> datetime | None:
    """Give a moment that was typed; without a zone it is UTC. Raises `InvalidInput`."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.year not in _YEARS:
        raise InvalidInput.of(name, "must be a moment such as 2026-01-31T12:00")
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _before(request: Request) -> int | None:
    text = request.query_params.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_BIGGEST)) and 0 < int(text) <= _BIGGEST):
        raise InvalidInput.of("before", "must be the number of an event")
    return int(text)


def _row(here: str, event: Row[Any], by: str) -> EventRow:
    page = _PAGES.get(event.subject_kind, "").format(event.subject_id)
    return EventRow(event, by, page, _path(here, {"actor": event.actor}), _path(here, {"subjectId": event.subject_id}))


def _path(path: str, query: Mapping[str, str]) -> str:
    kept = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path
