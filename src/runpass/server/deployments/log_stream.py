"""The stream of events of one page that follows a deployment: lines, the states of steps, and why it ends.

SECURITY: each look asks anew whether the session is still on and may see the deployment. An open page is no use of the
session: one that nobody looks at ends as any other.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from runpass.clock import Clock
from runpass.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from runpass.protocol.reports import LogEvent
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.access.sessions import find_session
from runpass.server.db.engine import Database, Transaction
from runpass.server.deployments import log_store, store
from runpass.server.deployments.deciding import deployment_for
from runpass.server.deployments.deployment_view import STATUS, path_of
from runpass.server.deployments.log_position import UnknownPositionError, position, read_at
from runpass.server.deployments.log_reading import lines_since
from runpass.server.deployments.log_store import StoredStep
from runpass.server.deployments.log_view import line_of, step_view
from runpass.server.deployments.log_watch import LogWatch, Watcher
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.passes import Ends, ends_of, sees_logins
from runpass.server.deployments.transitions import FINAL
from runpass.server.http.event_stream import HEARTBEAT, event

MOST_AT_ONCE: Final = 500
"""Lines of one event."""
LOOK_AGAIN_SECONDS: Final = 3.0
"""How long it takes at most until a page is told that its session is over."""
_QUIET_LOOKS: Final = 5
"""Looks without news after which a comment keeps the connection alive."""
_RETRY: Final = "retry: 1000\n\n"

SAID: Final = {
    "ended": "The deployment has ended.",
    "deleted": "The deployment was deleted. What you see here is all that is left of it.",
    "signed-out": "Your session is over. Sign in again to see what follows.",
    "not-allowed": "You may not see this deployment any more.",
    "again": "The log cannot be continued from here. Load the page again.",
}
"""Why a stream ends, as the page says it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the database gave."""

    frames: Sequence[str] = ()
    is_over: bool = False
    has_more: bool = False


@dataclass(slots=True)
class LogStream:
    """One page's stream. `after` is the position that the page has reached; empty for the beginning."""

    database: Database
    clock: Clock
    watch: LogWatch
    bearer: Secret
    watcher: Watcher
    after: str
    _read: dict[str, int] | None = None
    _state: Mapping[str, Any] = field(default_factory=dict)
    _ends: Ends = ()

    async def frames(self) -> AsyncGenerator[str]:
        """Give frame after frame. It ends without a word where the page may come back for the rest."""
        yield _RETRY
        quiet = 0
        while not self.watch.closed:
            try:
                look = await run_in_threadpool(self._look)
            except Unavailable:
                return
            for frame in look.frames:
                yield frame
            if look.is_over:
                return
            quiet = 0 if look.frames else quiet + 1
            if quiet >= _QUIET_LOOKS:
                quiet = 0
                yield HEARTBEAT
            if not look.has_more:
                await self.watcher.wait(LOOK_AGAIN_SECONDS)

    def _look(self) -> Look:
        try:
            _, actor = find_session(self.database, self.bearer, self.clock, is_use=False)
        except Unauthenticated:
            return _over("signed-out")
        deployment_id = self.watcher.deployment_id
        with self.database.read() as tx:
            try:
                deployment = deployment_for(tx, actor, deployment_id, Permission.VIEW_PROJECT)
            except (NotFound, Forbidden):
                is_there = store.get_deployment(tx, actor.organization_id, deployment_id) is not None
                return _over("not-allowed" if is_there else "deleted")
            news = self._news(tx, deployment)
            return replace(news, frames=[*self._ends_now(tx, actor, deployment), *news.frames])

    def _ends_now(self, tx: Transaction, actor: Actor, deployment: Deployment) -> list[str]:
        """Give when Vault tokens end, if that is news and the session may know of it."""
        ends = ends_of(tx, deployment)
        if ends == self._ends or not sees_logins(tx, actor, deployment):
            return []
        self._ends = ends
        return [event("tokens", {"tokens": ends})]

    def _news(self, tx: Transaction, deployment: Deployment) -> Look:
        steps = log_store.list_steps(tx, deployment.id)
        if self._read is None:
            try:
                self._read = dict(read_at(steps, self.after)) if self.after else {}
            except UnknownPositionError:
                return _over("again")
        frames, state = [], _state(deployment, steps)
        if state != self._state:
            self._state = state
            frames.append(event("state", state))
        lines = lines_since(tx, deployment.id, steps, self._read, MOST_AT_ONCE)
        if lines:
            for line in lines:
                self._read[line.step] = line.number
            frames.append(event("lines", {"lines": _shown(deployment, lines)}, position(steps, self._read)))
        has_more = len(lines) == MOST_AT_ONCE
        if deployment.status in FINAL and not has_more:
            return Look([*frames, _end("ended")], is_over=True)
        return Look(frames, has_more=has_more)


def _over(why: str) -> Look:
    return Look([_end(why)], is_over=True)


def _end(why: str) -> str:
    return event("over", {"why": why, "text": SAID[why]})


def _state(deployment: Deployment, steps: Sequence[StoredStep]) -> Mapping[str, Any]:
    views = [step_view(path_of(deployment), step) for step in steps]
    return {
        "status": deployment.status.value,
        "words": STATUS[deployment.status],
        "steps": [
            {
                "name": view.name,
                "anchor": view.anchor,
                "words": f"{view.words}, {view.lasted}" if view.lasted else view.words,
                "wrong": view.is_wrong,
            }
            for view in views
        ],
    }


def _shown(deployment: Deployment, events: Sequence[LogEvent]) -> list[dict[str, Any]]:
    lines = [line_of(path_of(deployment), item) for item in events]
    return [
        {
            "step": line.step,
            "number": line.number,
            "anchor": line.anchor,
            "href": line.href,
            "level": line.level,
            "pieces": [[piece.text, piece.classes] for piece in line.pieces],
        }
        for line in lines
    ]
