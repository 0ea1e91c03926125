"""The pages of a place's variables: what counts there, and a new one. The page of one is in `variable_pages`."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, RunpassError
from runpass.server.access.actors import Actor
from runpass.server.access.form_posts import answer_form
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.variables import managing, store
from runpass.server.variables.forms import MOST_BYTES, form_of, sent_again, typed, wanted_of
from runpass.server.variables.listing import Listed, listed
from runpass.server.variables.model import VariableRecord
from runpass.server.variables.page_places import PATHS, named, order_at, place_in, variables_path
from runpass.server.web.answering import Fields, answer_page, done_of, problem_of
from runpass.server.web.navigation import Section
from runpass.server.web.paging import PAGE, offset_of, paged

_DONE: Final = {
    "created": "The variable was made.",
    "changed": "The variable was changed.",
    "deleted": "The variable was deleted.",
}
_LONGEST_NAME: Final = 255


def variables_page(request: Request) -> Response:
    """Show the variables that count at a place; `name` filters, `overrides` begins a value of its own."""
    return _show(request, visit(request).actor)


async def create(request: Request) -> Response:
    """Make a variable at a place."""
    return await answer_form(request, _create, _show, most_bytes=MOST_BYTES)


NAVIGATION: Final = (Section("Variables", "variables", Permission.VIEW_ORGANIZATION, 35),)
ROUTES: Final = (
    *(Route(path, variables_page, methods=["GET"]) for path in PATHS),
    *(Route(path, create, methods=["POST"]) for path in PATHS),
)


def _create(request: Request, actor: Actor, fields: Fields) -> str:
    place, state = place_in(request), request.app.state
    with state.database.read() as tx:
        managing.allow(tx, actor, place, change=True)
    wanted = wanted_of(fields, place)
    with state.database.write() as tx:
        managing.save_new(tx, state.cipher, actor, wanted, clock=state.clock)
    return f"{variables_path(place)}?done=created"


def _show(request: Request, actor: Actor, sent: Fields | None = None, error: RunpassError | None = None) -> Response:
    place, name = place_in(request), request.query_params.get("name", "").strip()[:_LONGEST_NAME]
    with request.app.state.database.read() as tx:
        managing.allow(tx, actor, place, change=False)
        order = order_at(tx, actor, place)
        found = store.list_records(tx, actor.organization_id, order)
        places, may_change = named(tx, actor, order), managing.may_change(tx, actor, place)
    rows, paging = paged(request, _page(request, listed(order, found), name), {"name": name})
    values = {
        "place": places[place],
        "places": places,
        "here": variables_path(place),
        "organization_id": actor.organization_id,
        "rows": rows,
        "paging": paging,
        "name": name,
        "may_change": may_change,
        "fields": _fields(request, found, sent, error),
        "problem": problem_of(error, "made"),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "variables/variables.html", values, error)


def _page(request: Request, rows: Sequence[Listed], name: str) -> Sequence[Listed]:
    """Give the rows of a page, and one more if there is one."""
    offset = offset_of(request)
    fitting = [row for row in rows if name.lower() in row.variable.name.lower()]
    return fitting[offset : offset + PAGE + 1]


def _fields(
    request: Request,
    found: Sequence[VariableRecord],
    sent: Fields | None,
    error: RunpassError | None,
) -> Any:
    """Give the form: as it was sent, or with what an inherited variable says, or empty."""
    if sent is not None:
        return form_of(sent_again(sent), error=error if isinstance(error, InvalidInput) else None)
    overridden = _overridden(request, found)
    if overridden is None:
        return form_of({"type": "0"})
    return form_of(typed(overridden) | {"isReadonly": False})


def _overridden(request: Request, found: Sequence[VariableRecord]) -> VariableRecord | None:
    try:
        wanted = UUID(request.query_params.get("overrides", ""))
    except ValueError:
        return None
    return next((item for item in found if item.id == wanted), None)
