"""The page of an organization's templates."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.ids import OrganizationId
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.templates import store
from runpass.server.web.navigation import Section
from runpass.server.web.paging import PAGE, offset_of, paged


def templates_page(request: Request) -> Response:
    """List the templates that are not deleted and not one environment's own."""
    actor = visit(request).actor
    organization_id = OrganizationId(uuid_in(request, "organization_id"))
    actor.require_organization(organization_id, Permission.VIEW_TEMPLATES)
    with request.app.state.database.read() as tx:
        found = store.list_templates(tx, organization_id, limit=PAGE + 1, offset=offset_of(request))
    rows, paging = paged(request, found)
    values = {"rows": rows, "paging": paging}
    answer: Response = request.app.state.pages.page(request, "templates/templates.html", values)
    return answer


NAVIGATION: Final = (Section("Templates", "templates", Permission.VIEW_TEMPLATES, 30),)
ROUTES: Final = (Route("/organizations/{organization_id}/templates", templates_page, methods=["GET"]),)
