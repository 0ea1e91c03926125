"""The console's first page."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.tenancy.lookup import own_organization


def home_page(request: Request) -> Response:
    """List the organizations of the visitor. API keys and people belong to exactly one."""
    actor = visit(request).actor
    actor.require_organization(actor.organization_id, Permission.VIEW_ORGANIZATION)
    with request.app.state.database.read() as tx:
        organizations = [own_organization(tx, actor)]
    sees_credentials = actor.may_somewhere(Permission.VIEW_CREDENTIALS)
    values = {"organizations": organizations, "sees_credentials": sees_credentials}
    answer: Response = request.app.state.pages.page(request, "tenancy/home.html", values)
    return answer


ROUTES: Final = (Route("/", home_page, methods=["GET"]),)
