"""The pages of an organization's templates: the list, and a new one. The page of one is in `template_pages`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, RunpassError
from runpass.server.access.actors import Actor
from runpass.server.access.form_posts import answer_form
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.templates import managing, store
from runpass.server.templates.forms import MOST_BYTES, body_of, form_of, kind_field
from runpass.server.templates.model import TemplateType
from runpass.server.templates.requests import CreateTemplate
from runpass.server.web.answering import Fields, answer_page, done_of, problem_of
from runpass.server.web.navigation import Section
from runpass.server.web.paging import PAGE, offset_of, paged

_DONE: Final = {"deleted": "The template was deleted. Environments that were made from it stay."}


def templates_page(request: Request) -> Response:
    """List the templates that are not deleted and not one environment's own."""
    actor = visit(request).actor
    organization_id = managing.require_templates(actor, uuid_in(request, "organization_id"), Permission.VIEW_TEMPLATES)
    with request.app.state.database.read() as tx:
        found = store.list_templates(tx, organization_id, limit=PAGE + 1, offset=offset_of(request))
    rows, paging = paged(request, found)
    values = {
        "organization_id": organization_id,
        "rows": rows,
        "paging": paging,
        "may_manage": actor.may_somewhere(Permission.MANAGE_TEMPLATES),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "templates/templates.html", values)


def new_page(request: Request) -> Response:
    """Show the kinds of templates; with `type`, the form for a new one of that kind."""
    actor = visit(request).actor
    managing.require_templates(actor, uuid_in(request, "organization_id"), Permission.MANAGE_TEMPLATES)
    return _form(request, actor, {"type": request.query_params.get("type", "")})


async def create(request: Request) -> Response:
    """Make a template, and go to its page."""
    return await answer_form(request, _create, _form, most_bytes=MOST_BYTES)


NAVIGATION: Final = (Section("Templates", "templates", Permission.VIEW_TEMPLATES, 30),)
ROUTES: Final = (
    Route("/organizations/{organization_id}/templates", templates_page, methods=["GET"]),
    Route("/organizations/{organization_id}/templates", create, methods=["POST"]),
    Route("/organizations/{organization_id}/templates/new", new_page, methods=["GET"]),
)


def _create(request: Request, actor: Actor, fields: Fields) -> str:
    organization_id = uuid_in(request, "organization_id")
    managing.require_templates(actor, organization_id, Permission.MANAGE_TEMPLATES)
    state = request.app.state
    wanted = body_of(CreateTemplate, fields, {"organizationId": str(organization_id)})
    with state.database.write() as tx:
        template = managing.create(tx, actor, wanted, state.clock.now())
    return f"/console/templates/{template.id}?done=created"


def _form(request: Request, actor: Actor, given: Fields, error: RunpassError | None = None) -> Response:
    chosen = given.get("type", "")
    kind = TemplateType(chosen) if chosen in set(TemplateType) else None
    wrong = error if isinstance(error, InvalidInput) else None
    values = {
        "organization_id": actor.organization_id,
        "kind": kind,
        "kinds": kind_field(chosen or TemplateType.OPENTOFU, wrong),
        "fields": form_of(kind, given, wrong) if kind else [],
        "problem": problem_of(error, "made"),
    }
    return answer_page(request, "templates/new.html", values, error)
