"""A deployment's log beside its page: the events that a page follows, and the whole of it as a file."""

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from runpass.errors import InvalidInput, RunpassError
from runpass.ids import DeploymentId
from runpass.protocol.reports import LogEvent
from runpass.server.access.actors import Actor
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.sessions import find_session
from runpass.server.access.visits import Visit, visit
from runpass.server.deployments import log_store
from runpass.server.deployments.deciding import deployment_for
from runpass.server.deployments.log_store import StoredStep
from runpass.server.deployments.log_stream import LogStream
from runpass.server.deployments.log_watch import LogWatch
from runpass.server.http.event_stream import EventStream
from runpass.server.web.pages import NO_STORE
from runpass.terminal_text import without_colours

_AT_ONCE: Final = 1_000
"""Lines of a file that are read together."""
_LONGEST_POSITION: Final = 16_384


async def events(request: Request) -> Response:
    """Follow a deployment. `Last-Event-ID`, or else `after`, says what the page has already."""
    who, deployment_id = await run_in_threadpool(_may_see, request)
    after = request.headers.get("last-event-id") or request.query_params.get("after", "")
    if len(after) > _LONGEST_POSITION:
        raise InvalidInput.of("after", "must be the id of an earlier event")
    state = request.app.state
    watch: LogWatch = state.log_watch
    watcher = watch.watch(deployment_id, who.session.id)
    stream = LogStream(state.database, state.clock, watch, who.bearer, watcher, after)
    return EventStream(stream.frames(), NO_STORE, watcher.leave)


async def log_file(request: Request) -> Response:
    """Give the log as text, piece by piece; colours are left out, other control characters are shown as escapes."""
    who, deployment_id = await run_in_threadpool(_may_see, request)
    name = f'attachment; filename="deployment-{deployment_id}.txt"'
    headers = {**NO_STORE, "Content-Disposition": name}
    return StreamingResponse(_text(request, who, deployment_id), headers=headers, media_type="text/plain")


ROUTES: Final = (
    Route("/deployments/{deployment_id}/log/events", events, methods=["GET"]),
    Route("/deployments/{deployment_id}/log.txt", log_file, methods=["GET"]),
)


def _may_see(request: Request) -> tuple[Visit, DeploymentId]:
    who, wanted = visit(request), uuid_in(request, "deployment_id")
    with request.app.state.database.read() as tx:
        return who, deployment_for(tx, who.actor, wanted, Permission.VIEW_PROJECT).id


async def _text(request: Request, who: Visit, deployment_id: UUID) -> AsyncGenerator[str]:
    """Give the file's text.

    SECURITY: for each piece it is asked anew whether the session is still on, and may see the deployment now. Whoever
    reads slowly holds it open for as long as they like.
    """
    try:
        for step in await run_in_threadpool(_steps, request, who, deployment_id):
            yield f"=== {without_colours(step.name)} ({step.status.value}) ===\n"
            after = 0
            while lines := await run_in_threadpool(_lines, request, who, deployment_id, step.name, after):
                yield "".join(f"{without_colours(line.message)}\n" for line in lines)
                after = lines[-1].number
    except RunpassError:
        yield "=== the rest of the log could not be read ===\n"


def _steps(request: Request, who: Visit, deployment_id: UUID) -> list[StoredStep]:
    actor = _actor_now(request, who)
    with request.app.state.database.read() as tx:
        deployment = deployment_for(tx, actor, deployment_id, Permission.VIEW_PROJECT)
        return log_store.list_steps(tx, deployment.id)


def _lines(request: Request, who: Visit, deployment_id: UUID, step: str, after: int) -> list[LogEvent]:
    actor = _actor_now(request, who)
    with request.app.state.database.read() as tx:
        deployment = deployment_for(tx, actor, deployment_id, Permission.VIEW_PROJECT)
        return log_store.list_events(tx, deployment.id, step, after=after, limit=_AT_ONCE)


def _actor_now(request: Request, who: Visit) -> Actor:
    """Give who the session is, with the roles of this moment. Raises `Unauthenticated` once it is over."""
    state = request.app.state
    _, actor = find_session(state.database, who.bearer, state.clock, is_use=False)
    return actor
