"""Pages of deployments: those of an environment, one with its log, and the forms that approve, cancel and abort it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Conflict, InvalidInput
from runpass.ids import EnvironmentId
from runpass.protocol.reports import MAX_NUMBER
from runpass.server.access.actors import Actor
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.db.engine import Transaction
from runpass.server.deployments import deciding, log_store, store
from runpass.server.deployments.changing import count_end
from runpass.server.deployments.deciding import deployment_for
from runpass.server.deployments.deployment_rows import rows_of
from runpass.server.deployments.deployment_view import DeploymentView, path_of, view_of
from runpass.server.deployments.log_position import position
from runpass.server.deployments.log_view import Log, Window, found_lines, log_of, read_so_far, window_with
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.transitions import FINAL, Event
from runpass.server.tenancy.lookup import environment_for
from runpass.server.web.answering import answer_page, done_of
from runpass.server.web.errors import in_sentences
from runpass.server.web.forms import posted
from runpass.server.web.pages import redirection
from runpass.server.web.paging import PAGE, offset_of, paged

_DONE: Final = {
    "approved": "Approved. A runner takes it again and carries it out.",
    "cancelled": "Cancelled.",
    "aborted": "It is being aborted. Its runner learns of it with its next heartbeat.",
}
_MOST_SOUGHT: Final = 200
"""Characters that a log is searched for."""


def deployment_page(request: Request) -> Response:
    """Show a deployment with its log."""
    return _page(request)


def run_part(request: Request) -> Response:
    """Give the upper part of the page anew, for a page that is open."""
    actor = visit(request).actor
    with request.app.state.database.read() as tx:
        deployment = deployment_for(tx, actor, uuid_in(request, "deployment_id"), Permission.VIEW_PROJECT)
        values = _upper(request, tx, actor, deployment)
    answer: Response = request.app.state.pages.fragment(request, "deployments/_run.html", values)
    return answer


async def approve(request: Request) -> Response:
    """Approve a plan."""

    def rule(tx: Transaction, actor: Actor, deployment_id: UUID, now: datetime) -> Deployment:
        return deciding.approve(tx, request.app.state.cipher, actor, deployment_id, now)

    return await _decide(request, rule, "approved")


async def cancel(request: Request) -> Response:
    """Cancel what no runner has taken."""
    return await _decide(request, _ending(Event.CANCEL), "cancelled")


async def abort(request: Request) -> Response:
    """Abort what goes on."""
    return await _decide(request, _ending(Event.ABORT), "aborted")


def list_page(request: Request) -> Response:
    """List an environment's deployments, newest first."""
    actor = visit(request).actor
    environment_id = EnvironmentId(uuid_in(request, "environment_id"))
    offset = offset_of(request)
    with request.app.state.database.read() as tx:
        environment, project = environment_for(tx, actor, environment_id, Permission.VIEW_PROJECT)
        found = store.list_deployments(tx, environment.id, limit=PAGE + 1, offset=offset)
        shown, paging = paged(request, found)
        rows = rows_of(tx, actor.organization_id, shown)
    values = {
        "environment": environment,
        "project": project,
        "rows": rows,
        "paging": paging,
    }
    return answer_page(request, "deployments/deployments.html", values)


_ONE: Final = "/deployments/{deployment_id}"
ROUTES: Final = (
    Route("/environments/{environment_id}/deployments", list_page, methods=["GET"]),
    Route(_ONE, deployment_page, methods=["GET"]),
    Route(f"{_ONE}/run", run_part, methods=["GET"]),
    Route(f"{_ONE}/approve", approve, methods=["POST"]),
    Route(f"{_ONE}/cancel", cancel, methods=["POST"]),
    Route(f"{_ONE}/abort", abort, methods=["POST"]),
)

_Rule = Callable[[Transaction, Actor, UUID, datetime], Deployment]


def _ending(event: Event) -> _Rule:
    def rule(tx: Transaction, actor: Actor, deployment_id: UUID, now: datetime) -> Deployment:
        return deciding.end(tx, actor, deployment_id, event, now)

    return rule


async def _decide(request: Request, rule: _Rule, done: str) -> Response:
    who = await run_in_threadpool(visit, request)
    await posted(request, who.bearer)
    try:
        changed = await run_in_threadpool(_decided, request, rule, who.actor)
    except Conflict as error:
        # Somebody was faster, or the page was an old one: show how it is now, and why nothing was done.
        return await run_in_threadpool(_page, request, error)
    return redirection(f"{path_of(changed)}?done={done}")


def _decided(request: Request, rule: _Rule, actor: Actor) -> Deployment:
    state = request.app.state
    with state.database.write() as tx:
        changed = rule(tx, actor, uuid_in(request, "deployment_id"), state.clock.now())
    count_end(changed, changed.status)
    state.wakeups.work_arrived(changed.pool_id)
    return changed


def _page(request: Request, problem: Conflict | None = None) -> Response:
    actor = visit(request).actor
    window, sought = _window(request), request.query_params.get("find", "").strip()
    if len(sought) > _MOST_SOUGHT or not sought.isprintable():
        raise InvalidInput.of("find", f"must be text of at most {_MOST_SOUGHT} characters")
    with request.app.state.database.read() as tx:
        deployment = deployment_for(tx, actor, uuid_in(request, "deployment_id"), Permission.VIEW_PROJECT)
        values = _upper(request, tx, actor, deployment)
        log, steps = Log(deployment.id, path_of(deployment)), log_store.list_steps(tx, deployment.id)
        views = log_of(tx, log, steps, window)
        lines, is_complete = found_lines(tx, log, sought) if sought else ([], True)
    values |= {
        "views": views,
        "follows": "" if window or sought or deployment.status in FINAL else position(steps, read_so_far(views)),
        "window": window,
        "sought": sought,
        "found": lines,
        "is_complete": is_complete,
        "done": done_of(request, _DONE),
        "problem": in_sentences(problem) if problem else "",
    }
    answer: Response = request.app.state.pages.page(
        request, "deployments/deployment.html", values, 409 if problem else 200
    )
    return answer


def _upper(request: Request, tx: Transaction, actor: Actor, deployment: Deployment) -> dict[str, Any]:
    state = request.app.state
    view: DeploymentView = view_of(tx, state.cipher, actor, deployment, state.clock.now())
    return {"run": view, "deployment": deployment, "path": path_of(deployment)}


def _window(request: Request) -> Window | None:
    """Give the window of the log that the query asks for. Raises `InvalidInput`."""
    query: Mapping[str, str] = request.query_params
    step = query.get("step", "")
    if not step:
        return None
    line = _number(query, "line")
    return window_with(step, line) if line else Window(step, _number(query, "before"))


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "0")
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_NUMBER))
    if not is_number or int(text) > MAX_NUMBER:
        raise InvalidInput.of(name, "must be the number of a line")
    return int(text)
