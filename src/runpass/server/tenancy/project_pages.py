"""The pages of an organization's projects: the tree, and a new project. The page of one is in `environments`."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, NotFound, RunpassError
from runpass.protocol.wire import decode
from runpass.server.access.actors import Actor
from runpass.server.access.form_posts import answer_form
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.tenancy import store
from runpass.server.tenancy.changing_projects import create_project, require_own
from runpass.server.tenancy.project_places import places_of
from runpass.server.tenancy.project_requests import CreateProject
from runpass.server.tenancy.visibility import visible_to
from runpass.server.web.answering import Fields, answer_page, done_of, problem_of, wrong_fields
from runpass.server.web.fields import fields_of, values_of
from runpass.server.web.navigation import Section
from runpass.server.web.paging import PAGE, offset_of, paged

MOST_BYTES: Final = 262_144
"""Of a form with a description: its characters may each be several bytes, and each byte is sent as three."""
FORM: Final = ("name", "description", "parentProjectId")
_DONE: Final = {"deleted": "The project was deleted."}
_LONGEST_NAME: Final = 255


def projects_page(request: Request) -> Response:
    """Show the projects that the visitor may see, as a tree; `name` filters, `parent` begins a sub-project."""
    actor = visit(request).actor
    organization_id = uuid_in(request, "organization_id")
    require_own(actor, organization_id)
    return _show(request, actor, {"parentProjectId": request.query_params.get("parent", "")})


async def create(request: Request) -> Response:
    """Make a project, and go to its page."""
    return await answer_form(request, _create, _again, most_bytes=MOST_BYTES)


NAVIGATION: Final = (Section("Projects", "projects", Permission.VIEW_PROJECT, 10),)
ROUTES: Final = (
    Route("/organizations/{organization_id}/projects", projects_page, methods=["GET"]),
    Route("/organizations/{organization_id}/projects", create, methods=["POST"]),
)


def _create(request: Request, actor: Actor, fields: Fields) -> str:
    organization_id = uuid_in(request, "organization_id")
    require_own(actor, organization_id)
    given = {**_given(fields), "organizationId": str(organization_id)}
    wanted = decode(CreateProject, json.dumps(given).encode())
    try:
        with request.app.state.database.write() as tx:
            project = create_project(tx, actor, wanted, request.app.state.clock.now())
    except NotFound as error:  # the organization is the visitor's own, so it is the project above that is none
        raise InvalidInput.of("parentProjectId", error.message) from None
    return f"/console/projects/{project.id}?done=created"


def _given(fields: Fields) -> dict[str, Any]:
    return {name: value for name, value in values_of(CreateProject, fields).items() if name in FORM}


def _again(request: Request, actor: Actor, fields: Fields, error: RunpassError) -> Response:
    return _show(request, actor, _given(fields), error)


def _show(request: Request, actor: Actor, given: Mapping[str, Any], error: RunpassError | None = None) -> Response:
    """Give the list with the form for a new project, as it was sent and with what is wrong with it."""
    name = request.query_params.get("name", "").strip()[:_LONGEST_NAME].replace("\x00", "")
    with request.app.state.database.read() as tx:
        where = visible_to(tx, actor)
        where = where & store.named_like(name) if name else where
        found = store.list_projects(
            tx, actor.organization_id, where, limit=PAGE + 1, offset=offset_of(request), as_tree=True
        )
        rows, paging = paged(request, found, {"name": name})
        places = places_of(tx, actor, rows)
    wrong = wrong_fields(error)
    values = {
        "organization_id": actor.organization_id,
        "rows": [(project, places[project.id]) for project in rows],
        "paging": paging,
        "name": name,
        "may_create": actor.may_somewhere(Permission.CREATE_PROJECT),
        "fields": [one for one in fields_of(CreateProject, given, wrong) if one.name in FORM],
        "problem": problem_of(error, "made"),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "tenancy/projects.html", values, error)
