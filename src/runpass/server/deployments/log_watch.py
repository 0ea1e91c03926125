"""Who watches which deployment, and waking them when it changes. Nobody holds a thread or a connection while waiting.

One small task looks for all of them together, three times a second, with two queries by key, and only while somebody
watches: so what another process of the server wrote is seen as soon as what this one did.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool

from runpass.errors import RunpassError, TooManyRequests
from runpass.ids import DeploymentId, SessionId
from runpass.server.db.engine import Database
from runpass.server.deployments.log_reading import Pulse, pulses
from runpass.server.deployments.wakeups import Wakeups

LOOK_EVERY_SECONDS: Final = 0.3
MOST_OF_A_SESSION: Final = 6
"""As many connections as a browser opens to one host without HTTP/2."""
MOST: Final = 200
"""In one process."""
_log = structlog.get_logger(__name__)


class LogWatch:
    """The watchers of one process."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups
        self._watchers: set[Watcher] = set()
        self._of_session: Counter[SessionId] = Counter()
        self._looking: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """Whether the server is stopping."""
        return self._wakeups.closed

    def watch(self, deployment_id: DeploymentId, session_id: SessionId) -> "Watcher":
        """Give a watcher, which must `leave`. Raises `TooManyRequests` where there are too many."""
        if self._of_session[session_id] >= MOST_OF_A_SESSION or len(self._watchers) >= MOST:
            raise TooManyRequests(
                "too many pages follow a log", retry_after_seconds=10, hint="close one, or load this one again by hand"
            )
        watcher = Watcher(self, deployment_id, session_id)
        self._watchers.add(watcher)
        self._of_session[session_id] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return watcher

    def leave(self, watcher: "Watcher") -> None:
        """Forget a watcher; called twice, it changes nothing."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
            self._of_session -= Counter([watcher.session_id])

    async def _look(self) -> None:
        seen: Mapping[DeploymentId, Pulse] = {}
        while self._watchers and not self.closed:
            wanted = {watcher.deployment_id for watcher in self._watchers}
            try:
                now = await run_in_threadpool(self._pulses, wanted)
            except RunpassError as error:
                _log.warning("log_watch.failed", code=error.code, message=error.message)
                now = {}  # each watcher finds out by itself
            for watcher in tuple(self._watchers):
                key = watcher.deployment_id
                if key not in wanted or key not in now or now[key] != seen.get(key):
                    watcher.changed.set()
            seen = now
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        for watcher in self._watchers:
            watcher.changed.set()

    def _pulses(self, wanted: set[DeploymentId]) -> Mapping[DeploymentId, Pulse]:
        with self._database.read() as tx:
            return pulses(tx, wanted)


class Watcher:
    """One page that follows one deployment."""

    def __init__(self, watch: LogWatch, deployment_id: DeploymentId, session_id: SessionId) -> None:
        self._watch = watch
        self.deployment_id = deployment_id
        self.session_id = session_id
        self.changed = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait until something may have changed, or so many seconds have passed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.changed.wait(), seconds)
        self.changed.clear()

    def leave(self) -> None:
        """Watch no longer."""
        self._watch.leave(self)
