"""The page that asks before a runner is revoked, and says what it ends."""

from datetime import timedelta
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import NotFound
from runpass.ids import OrganizationId, RunnerId
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.deployments import lease_store
from runpass.server.deployments.revoking_runners import revoke
from runpass.server.deployments.run_leases import LeaseRules
from runpass.server.runners.store import get_runner
from runpass.server.web.answering import answer_page
from runpass.server.web.forms import posted
from runpass.server.web.pages import redirection

_PATH: Final = "/organizations/{organization_id}/runners/{runner_id}/revoke"


def ask_page(request: Request) -> Response:
    """Say what is ended with a runner, and ask."""
    actor = visit(request).actor
    organization_id = OrganizationId(uuid_in(request, "organization_id"))
    actor.require_organization(organization_id, Permission.MANAGE_RUNNERS)
    runner_id = RunnerId(uuid_in(request, "runner_id"))
    with request.app.state.database.read() as tx:
        runner = get_runner(tx, runner_id)
        if runner is None or runner.organization_id != organization_id or runner.revoked_at is not None:
            raise NotFound("there is no such runner")
        runs = lease_store.live_leases(tx, runner_id)
    values = {"runner": runner, "organization_id": organization_id, "runs": runs}
    return answer_page(request, "runners/revoke.html", values)


async def revoke_one(request: Request) -> Response:
    """Revoke a runner."""
    who = await run_in_threadpool(visit, request)
    await posted(request, who.bearer)
    organization_id = OrganizationId(uuid_in(request, "organization_id"))
    who.actor.require_organization(organization_id, Permission.MANAGE_RUNNERS)
    state = request.app.state
    rules = LeaseRules(state.database, state.cipher, state.clock, timedelta(0))
    await run_in_threadpool(revoke, rules, state.wakeups, who.actor, RunnerId(uuid_in(request, "runner_id")))
    return redirection(f"/console/organizations/{organization_id}/runners?done=revoked")


ROUTES: Final = (Route(_PATH, ask_page, methods=["GET"]), Route(_PATH, revoke_one, methods=["POST"]))
