"""The look, again and again, at what a run uses; one that uses more than its limits is ended, with the sentence why."""

import asyncio
import threading
import time
from typing import Final

import structlog

from runpass.runner import usage
from runpass.runner.cell import Cell
from runpass.runner.limits import TOO_DEEP, Limits
from runpass.runner.processes import ProcessInfo
from runpass.runner.stop import Stop
from runpass.runner.workspace import Workspace

log = structlog.get_logger()
LOOK_SECONDS: Final = 1.0
REST: Final = 20
"""After a look comes a pause of so many times the processor's time that it took: a twentieth of a core at most."""
LONGEST_REST_SECONDS: Final = 20.0
MOST_FAILED: Final = 5
"""Looks in a row that may fail. SECURITY: a run that cannot be looked at would be one without limits."""
UNMEASURED: Final = "What the run uses could not be measured."
_one_walk = threading.Lock()
"""A walk holds many files open: one at a time."""


class Watch:
    """The watch over one run."""

    def __init__(self, cell: Cell, workspace: Workspace, limits: Limits) -> None:
        self._cell = cell
        self._workspace = workspace
        self._limits = limits

    async def keep(self, stop: Stop) -> None:
        """Look until cancelled, or until the run uses too much; then `stop` knows."""
        failed = 0
        while not stop.lost:
            took = 0.0
            try:
                sentence, took = await asyncio.to_thread(self._timed_look)
                failed = 0
            except Exception:
                log.exception("run_not_watched")
                failed += 1
                sentence = UNMEASURED if failed >= MOST_FAILED else None
            if sentence is not None:
                stop.exceed(sentence)
                return
            await asyncio.sleep(min(max(LOOK_SECONDS, REST * took), LONGEST_REST_SECONDS))

    def _timed_look(self) -> tuple[str | None, float]:
        # The processor's time, not the wall's: a run that keeps the whole machine busy would be looked at less often.
        began = time.thread_time()
        return self.look(), time.thread_time() - began

    def look(self) -> str | None:
        """Give the sentence that says what the run uses too much of, if anything. May block for seconds."""
        return self._look(self._limits.processes)

    def reason(self, status: int) -> str | None:
        """Give the sentence of the limit that a command which ended with this status met, if that can be told.

        The kernel refuses a process beyond the limit, and the command that wanted it has ended: nearly as many tell.
        """
        most = self._limits.processes
        return self._limits.of_status(status) or self._look(most - max(2, most // 16))

    def _look(self, most_processes: int) -> str | None:
        limits = self._limits
        processes = [process for process in self._cell.members() if not process.is_dead]
        if usage.threads_of(processes) >= most_processes:
            return limits.more_processes()
        if usage.memory_of(processes, limits.memory_bytes) > limits.memory_bytes:
            return limits.more_memory()
        return self._cell.exceeded() or self._look_at_disk(processes)

    def _look_at_disk(self, processes: list[ProcessInfo]) -> str | None:
        owner = self._cell.owner
        try:
            with _one_walk:
                uid = None if owner is None else owner.uid
                disk = usage.measure(self._workspace.directory, processes, uid, self._limits.files)
        except usage.TooDeep:
            return TOO_DEEP
        if disk.is_over:
            return self._limits.more_files()
        return self._limits.more_disk() if disk.bytes > self._limits.disk_bytes else None
