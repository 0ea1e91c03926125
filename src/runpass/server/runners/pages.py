"""The pages of runners and join tokens. Revoking a runner is in `deployments`."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.ids import OrganizationId
from runpass.protocol.wire import invalid_input
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.runners import store
from runpass.server.runners.making_tokens import JoinTokenFields, make_join_token
from runpass.server.runners.model import IN_TOUCH
from runpass.server.web.answering import done_of
from runpass.server.web.fields import errors_of, fields_of, values_of
from runpass.server.web.forms import posted
from runpass.server.web.navigation import Section
from runpass.server.web.paging import PAGE, offset_of, paged

_DONE: Final = {"revoked": "The runner is revoked. What it ran has ended; another runner revokes its Vault tokens."}


def runners_page(request: Request) -> Response:
    """List the runners, with the form for a join token."""
    actor = visit(request).actor
    organization_id = OrganizationId(uuid_in(request, "organization_id"))
    actor.require_organization(organization_id, Permission.MANAGE_RUNNERS)
    return _list(request, organization_id)


async def make_token(request: Request) -> Response:
    """Make a join token, and show it this once."""
    who = await run_in_threadpool(visit, request)
    fields = await posted(request, who.bearer)
    organization_id = OrganizationId(uuid_in(request, "organization_id"))
    who.actor.require_organization(organization_id, Permission.MANAGE_RUNNERS)
    given = values_of(JoinTokenFields, fields)
    try:
        wanted = JoinTokenFields.model_validate(given)
    except ValidationError as error:
        wrong = errors_of(invalid_input(error))
        return await run_in_threadpool(_list, request, organization_id, given, wrong)
    state = request.app.state
    made = await run_in_threadpool(make_join_token, state.database, organization_id, wanted, who.actor, state.clock)
    values = {
        "organization_id": organization_id,
        "wanted": wanted,
        "token": made.token.reveal(),
        "expires_at": made.expires_at,
        "server_url": state.settings.public_url,
    }
    answer: Response = state.pages.page(request, "runners/join_token.html", values)
    return answer


NAVIGATION: Final = (Section("Runners", "runners", Permission.MANAGE_RUNNERS, 40),)
ROUTES: Final = (
    Route("/organizations/{organization_id}/runners", runners_page, methods=["GET"]),
    Route("/organizations/{organization_id}/runners/join-tokens", make_token, methods=["POST"]),
)


def _list(
    request: Request,
    organization_id: OrganizationId,
    given: Mapping[str, Any] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    now: datetime = request.app.state.clock.now()
    offset = 0 if wrong else offset_of(request)
    with request.app.state.database.read() as tx:
        found = store.list_runners(tx, organization_id, limit=PAGE + 1, offset=offset)
    runners, paging = paged(request, found)
    values = {
        "organization_id": organization_id,
        "runners": runners,
        "paging": paging,
        "in_touch_since": now - IN_TOUCH,
        "fields": fields_of(JoinTokenFields, given, wrong),
        "problem": "The join token was not made: see the fields below." if wrong else "",
        "done": done_of(request, _DONE),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    answer: Response = request.app.state.pages.page(request, "runners/runners.html", values, status)
    return answer
