"""Reports: step states and log events on their way to the server, in order, in bounded memory, in the background."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from runpass.clock import Clock
from runpass.errors import RunpassError, StaleLease, Unauthenticated
from runpass.protocol.reports import (
    ENDED,
    MAX_EVENTS,
    MAX_LEAKS,
    MAX_MESSAGE,
    MAX_SECRET_NAME,
    Leak,
    LogEvent,
    LogLevel,
    Report,
    Step,
    StepStatus,
)
from runpass.runner.control_plane import TemporaryFailure
from runpass.runner.stop import Reason, Stop

log = structlog.get_logger()
GATHER_SECONDS: Final = 0.075
"""How long events are gathered before a report leaves."""
REPORT_CHARACTERS: Final = 512 * 1024
WAITING_CHARACTERS: Final = 2 * 1024 * 1024
"""What may wait for the server. More than that, and the commands wait instead: their pipes fill up."""
WAITING_EVENTS: Final = 8 * MAX_EVENTS


class Reporter:
    """What one run has to tell. Everything given to `log` must be masked already."""

    def __init__(self, send: Callable[[Report], Awaitable[None]], fencing_token: int, stop: Stop, clock: Clock) -> None:
        self._send = send
        self._fencing_token = fencing_token
        self._stop = stop
        self._clock = clock
        self._events: deque[LogEvent] = deque()
        self._characters = 0
        self._numbers: Counter[str] = Counter()
        self._steps: dict[str, Step] = {}
        self._unsent_steps: dict[str, Step] = {}
        self._leaks: set[Leak] = set()
        self._unsent_leaks: list[Leak] = []
        self._something = asyncio.Event()
        self._full_enough = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False

    def step(self, name: str, status: StepStatus) -> None:
        """Set a step's state; the first mention of a step decides its place."""
        now = self._clock.now()
        old = self._steps.get(name)
        started = old.started_at if old else None
        if status is StepStatus.IN_PROGRESS:
            started = now
        step = Step(
            name=name,
            order=old.order if old else len(self._steps),
            status=status,
            started_at=started,
            completed_at=now if status in ENDED and started else None,
        )
        self._steps[name] = self._unsent_steps[name] = step
        self._something.set()

    def end_steps(self, current: StepStatus, rest: StepStatus) -> None:
        """Give the step that was going on one end and those that never started another."""
        for step in list(self._steps.values()):
            if step.status is StepStatus.IN_PROGRESS:
                self.step(step.name, current)
            elif step.status is StepStatus.NOT_STARTED:
                self.step(step.name, rest)

    @property
    def current_step(self) -> str | None:
        """Give the name of the step that is going on."""
        going = (step.name for step in self._steps.values() if step.status is StepStatus.IN_PROGRESS)
        return next(going, None)

    @property
    def last_step(self) -> str | None:
        """Give the name of the last step that was started."""
        return next((step.name for step in reversed(self._steps.values()) if step.started_at), None)

    async def log(self, step: str, level: LogLevel, message: str) -> None:
        """Queue one line; waits while the server is behind."""
        while not self._room.is_set() and not self._stop.lost:
            await self._room.wait()
        for start in range(0, max(len(message), 1), MAX_MESSAGE):
            self._queue(step, level, message[start : start + MAX_MESSAGE])

    async def leak(self, step: str, secret: str) -> None:
        """Tell once that the secret of this name turned up, masked, in this step; of so many, no more is told."""
        found = Leak(secret=secret[:MAX_SECRET_NAME], step=step)
        if found in self._leaks or len(self._leaks) >= MAX_LEAKS:
            return
        self._leaks.add(found)
        self._unsent_leaks.append(found)
        await self.log(step, LogLevel.SYSTEM, f"Masked: {found.secret} was printed in this step.")

    def _queue(self, step: str, level: LogLevel, message: str) -> None:
        if self._stop.lost:
            return
        self._numbers[step] += 1
        number, now = self._numbers[step], self._clock.now()
        self._events.append(LogEvent(step=step, number=number, at=now, level=level, message=message))
        self._characters += len(message)
        self._something.set()
        if len(self._events) >= MAX_EVENTS or self._characters >= REPORT_CHARACTERS:
            self._full_enough.set()
        if len(self._events) >= WAITING_EVENTS or self._characters >= WAITING_CHARACTERS:
            self._room.clear()

    async def ship(self) -> None:
        """Send reports until closed and empty, or until the lease is lost."""
        try:
            await self._ship()
        except Exception:
            log.exception("reports_stopped")
            self._stop.ask(Reason.LOST)  # a run that nobody can follow does not go on
        finally:
            self._room.set()  # whoever waits to log may go on; nobody will read it

    async def _ship(self) -> None:
        while not self._stop.lost:
            await self._something.wait()
            if not (self._closing or self._full_enough.is_set()):
                await self._gather()
            if not (self._events or self._unsent_steps or self._unsent_leaks):
                self._something.clear()
                if self._closing:
                    return
                continue
            await self._deliver(self._next_report())

    async def close(self) -> None:
        """Let `ship` end once everything is delivered."""
        self._closing = True
        self._something.set()
        self._full_enough.set()

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await self._full_enough.wait()
        except TimeoutError:
            return

    def _next_report(self) -> Report:
        events: list[LogEvent] = []
        characters = 0
        while self._events and len(events) < MAX_EVENTS and characters < REPORT_CHARACTERS:
            events.append(self._events.popleft())
            characters += len(events[-1].message)
        self._characters -= characters
        steps, self._unsent_steps = tuple(self._unsent_steps.values()), {}
        leaks, self._unsent_leaks = tuple(self._unsent_leaks), []
        if len(self._events) < MAX_EVENTS and self._characters < REPORT_CHARACTERS and not self._closing:
            self._full_enough.clear()
        self._room.set()
        return Report(fencing_token=self._fencing_token, steps=steps, events=tuple(events), leaks=leaks)

    async def _deliver(self, report: Report) -> None:
        while not self._stop.lost:
            try:
                await self._send(report)
            except (StaleLease, Unauthenticated):
                self._stop.ask(Reason.LOST)
            except TemporaryFailure as error:
                log.warning("report_delayed", error=error.message)  # heartbeats decide when to give up
            except RunpassError as error:
                log.error("report_refused", error=error.message, events=len(report.events))  # noqa: TRY400 -- no trace
                return
            else:
                return
