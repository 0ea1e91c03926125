"""`Stop`: how a run that is going on is told to end, and why."""

import asyncio
import contextlib
from enum import StrEnum


class Reason(StrEnum):
    """Why a run must end before its commands do."""

    TIMEOUT = "timeout"
    ABORTED = "aborted"
    SHUTDOWN = "shutdown"
    """The runner itself ends."""
    LIMIT = "limit"
    """It used more of the machine than a run may."""
    LOST = "lost"
    """The run lease belongs to nobody or to somebody else: end at once and report nothing more."""


class Stop:
    """A wish that may come at any time and more than once. The first reason stays, but `LOST` beats them all."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.exceeded: str | None = None
        """The sentence that says which limit the run went beyond."""
        self._asked = asyncio.Event()
        self._at_once = asyncio.Event()

    @property
    def lost(self) -> bool:
        """Whether the run lease was lost."""
        return self.reason is Reason.LOST

    def ask(self, reason: Reason, *, at_once: bool = False) -> None:
        """End the run; `at_once` (and always when lost) leaves out the commands' time to end by themselves."""
        if self.reason is None or reason is Reason.LOST:
            self.reason = reason
        if at_once or self.lost:
            self._at_once.set()
        self._asked.set()

    def exceed(self, sentence: str) -> None:
        """End the run at once, because it went beyond a limit: every moment more takes from all others here."""
        self.exceeded = self.exceeded or sentence
        self.ask(Reason.LIMIT, at_once=True)

    async def asked(self) -> Reason:
        """Wait for the wish and give its reason."""
        await self._asked.wait()
        assert self.reason is not None  # noqa: S101 -- ask() sets it before the event
        return self.reason

    async def grace(self, seconds: float) -> bool:
        """Wait this long or until no grace is left; whether there still is some."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._at_once.wait(), seconds)
        return not self._at_once.is_set()
