"""The page of one variable: what it is, and the forms for those who may change it."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, RunpassError
from runpass.server.access.actors import Actor
from runpass.server.access.form_posts import answer_form
from runpass.server.access.pages import uuid_in
from runpass.server.access.visits import visit
from runpass.server.http.preconditions import entity_tag
from runpass.server.variables import managing
from runpass.server.variables.forms import MOST_BYTES, form_of, sent_again, typed, wanted_of
from runpass.server.variables.page_places import named, variables_path
from runpass.server.web.answering import Fields, answer_page, problem_of, seen_in
from runpass.server.web.fields import as_it_was


def variable_page(request: Request) -> Response:
    """Show one variable; a sensitive value is not shown."""
    return _show(request, visit(request).actor, {})


async def change(request: Request) -> Response:
    """Change a variable. A sensitive value that is left empty stays."""
    return await answer_form(request, _change, _show, most_bytes=MOST_BYTES)


async def delete(request: Request) -> Response:
    """Delete a variable."""
    return await answer_form(request, _delete, _show, most_bytes=MOST_BYTES)


ROUTES: Final = (
    Route("/variables/{variable_id}", variable_page, methods=["GET"]),
    Route("/variables/{variable_id}", change, methods=["POST"]),
    Route("/variables/{variable_id}/delete", delete, methods=["POST"]),
)


def _change(request: Request, actor: Actor, fields: Fields) -> str:
    state = request.app.state
    with state.database.write() as tx:
        stored = managing.variable_for(tx, actor, uuid_in(request, "variable_id"), change=True)
        sent = as_it_was(fields, typed(stored))
        wanted = wanted_of(sent, stored.place, stored, seen_in(fields))
        managing.save_all(tx, state.cipher, actor, [wanted], clock=state.clock)
    return f"{variables_path(stored.place)}?done=changed"


def _delete(request: Request, actor: Actor, fields: Fields) -> str:
    state, variable_id = request.app.state, uuid_in(request, "variable_id")
    with state.database.write() as tx:
        seen = seen_in(fields)
        deleted = managing.delete(tx, actor, variable_id, if_match=seen, clock=state.clock)
    return f"{variables_path(deleted.place)}?done=deleted"


def _show(request: Request, actor: Actor, sent: Fields, error: RunpassError | None = None) -> Response:
    with request.app.state.database.read() as tx:
        variable = managing.variable_for(tx, actor, uuid_in(request, "variable_id"), change=False)
        place = named(tx, actor, [variable.place])[variable.place]
        may_change = managing.may_change(tx, actor, variable.place)
    wrong = error if isinstance(error, InvalidInput) else None
    given = sent_again(sent) if "name" in sent else typed(variable)
    values = {
        "variable": variable,
        "place": place,
        "seen": sent.get("seen") or entity_tag(variable.updated_at),
        "may_change": may_change,
        "fields": form_of(given, variable, wrong) if may_change else [],
        "problem": problem_of(error),
    }
    return answer_page(request, "variables/variable.html", values, error)
