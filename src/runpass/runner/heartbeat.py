"""Heartbeats: they keep the run lease, bring the server's wishes, and notice when the lease is lost."""

import asyncio
from datetime import datetime

import structlog

from runpass.clock import Clock
from runpass.errors import RunpassError, StaleLease, Unauthenticated
from runpass.protocol.run_lease import RunLease, Wish
from runpass.runner.control_plane import ControlPlane
from runpass.runner.stop import Reason, Stop

log = structlog.get_logger()
PER_LEASE = 3
"""Heartbeats go out this often per lease."""
UNHEARD_SECONDS = 0.5
"""The longest pause until the first answer, where a run waits for it."""


class Heartbeats:
    """The heartbeats of one run lease."""

    def __init__(self, control_plane: ControlPlane, lease: RunLease, lease_seconds: float, clock: Clock) -> None:
        self._control_plane = control_plane
        self._lease = lease
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._kept_until = clock.monotonic() + self._length(lease.expires_at)
        self._is_heard = False

    async def beat(self, stop: Stop) -> None:
        """Beat until cancelled, or until the lease is lost; then `stop` knows.

        SECURITY: also where it fails in a way that nobody thought of: commands must not go on without a lease.
        """
        try:
            while not stop.lost:
                await asyncio.sleep(self._pause)
                await self._once(stop)
        except Exception:
            log.exception("heartbeats_stopped", lease=str(self._lease.lease_id))
            stop.ask(Reason.LOST)

    async def be_heard(self, stop: Stop) -> None:
        """Beat now, and again until the server has answered once. Raises `StaleLease` if the lease is lost before.

        SECURITY: the server gives a run that it never heard of to another runner, so no command may begin before.
        """
        while not (self._is_heard or stop.lost):
            await self._once(stop)
            if not self._is_heard:
                await asyncio.sleep(min(self._pause, UNHEARD_SECONDS))
        if stop.lost:
            raise StaleLease("the run lease was lost before the run began")

    async def _once(self, stop: Stop) -> None:
        asked_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(max(self._kept_until - asked_at, 0.05)):
                answer = await self._control_plane.heartbeat(self._lease)
        except (StaleLease, Unauthenticated) as error:
            log.warning("run_lease_lost", lease=str(self._lease.lease_id), reason=error.message)
            stop.ask(Reason.LOST)
        except (RunpassError, TimeoutError) as error:
            log.warning("heartbeat_failed", lease=str(self._lease.lease_id), error=str(error))
            if self._clock.monotonic() >= self._kept_until:
                stop.ask(Reason.LOST)
        else:
            self._is_heard = True
            self._kept_until = asked_at + self._length(answer.expires_at)
            if answer.wish is Wish.ABORT:
                stop.ask(Reason.ABORTED)

    @property
    def _pause(self) -> float:
        left = max(self._kept_until - self._clock.monotonic(), 0.0)
        return min(self._lease_seconds / PER_LEASE, max(left / PER_LEASE, 0.05))

    def _length(self, expires_at: datetime) -> float:
        """Give how long the lease lives from now, believing the server's clock only where it makes sense here."""
        left = (expires_at - self._clock.now()).total_seconds()
        return left if self._lease_seconds / 10 < left < self._lease_seconds else self._lease_seconds
