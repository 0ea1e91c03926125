"""The commands of a run: one `sh -e` per command, its output on the way to the log, its end made sure of."""

import asyncio
import contextlib
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from runpass.errors import JobError
from runpass.protocol.reports import LogLevel
from runpass.runner import children, keyrings
from runpass.runner.cell import Cell
from runpass.runner.gate import Gate, guarded
from runpass.runner.limits import Limits
from runpass.runner.masking import Mask
from runpass.runner.output import Pipe, pump
from runpass.runner.processes import are_known, signal_group, signal_if_same
from runpass.runner.reporter import Reporter
from runpass.runner.stop import Stop
from runpass.runner.workspace import Workspace

log = structlog.get_logger()
LINGER_SECONDS: Final = 0.3
"""How long the output may stay open after a command's end before it is left to what runs on in the background."""
LOOK_SECONDS: Final = 0.05
LAST_OUTPUT_SECONDS: Final = 2.0
DEATH_SECONDS: Final = 5.0
# SECURITY: a program is started in "/", and this changes directory with the rights of the run. A directory given to the
# start would be entered with the runner's rights, and the run may have put a link there, to a place closed to it.
ENTER_AND_RUN: Final = (
    'cd -- "$1" 2>/dev/null || { echo "The workspace cannot be entered: $1" >&2; exit 1; }; '
    'unset OLDPWD; exec /bin/sh -e "$2"'
)


class Commands:
    """Runs the commands of one run in its cell."""

    def __init__(
        self,
        place: tuple[Cell, Workspace, Limits],
        mask: Mask,
        reporter: Reporter,
        stop: Stop,
        *,
        grace_seconds: float,
    ) -> None:
        self._cell, self._workspace, self._limits = place
        self._mask = mask
        self._reporter = reporter
        self._stop = stop
        self._grace_seconds = grace_seconds
        self._lingering: set[asyncio.Task[None]] = set()
        self._pipes: list[Pipe] = []

    async def run(self, script: Path, step: str, environment: Mapping[str, str]) -> int:
        """Run one script to its end and give its exit status (negative: the signal that ended it).

        Cancelled, it asks the whole process group to end, and after the grace ends it.
        """
        pipes = {LogLevel.INFO: await Pipe.open(), LogLevel.ERROR: await Pipe.open()}
        self._pipes += pipes.values()
        gate = Gate()
        try:
            process = await self._start(script, environment, pipes, gate)
        except BaseException:
            gate.close()
            raise
        finally:
            gate.close_reading()
            for pipe in pipes.values():
                pipe.close_writing()
        pumps = {
            asyncio.create_task(pump(pipe.reader, self._mask, self._reporter, step, level))
            for level, pipe in pipes.items()
        }
        self._lingering |= pumps
        noting = asyncio.create_task(asyncio.to_thread(self._let_go, process.pid, gate))
        try:
            status = await process.wait()
            children.forget(process.pid)
            await asyncio.wait(pumps, timeout=LINGER_SECONDS)
        except asyncio.CancelledError:
            await self._end(process)
            raise
        finally:
            await asyncio.shield(noting)
        return status

    def _let_go(self, pid: int, gate: Gate) -> None:
        try:
            self._cell.started(pid)
            gate.open()
        finally:
            gate.close()

    async def _start(
        self, script: Path, environment: Mapping[str, str], pipes: Mapping[LogLevel, Pipe], gate: Gate
    ) -> Process:
        argv = ("/bin/sh", "-c", ENTER_AND_RUN, "sh", str(self._workspace.root), str(script))
        launch = self._cell.launch(argv, self._workspace.directory)
        as_whom: dict[str, Any] = {}
        if launch.owner is not None:
            as_whom = {"user": launch.owner.uid, "group": launch.owner.gid, "extra_groups": []}
        try:
            with children.starting(), keyrings.own_session():
                process = await asyncio.create_subprocess_exec(
                    *guarded(launch.argv, self._limits),
                    stdin=gate.reading,
                    stdout=pipes[LogLevel.INFO].writing,
                    stderr=pipes[LogLevel.ERROR].writing,
                    env=environment,
                    cwd="/",
                    start_new_session=True,
                    umask=0o077,
                    **as_whom,
                )
                children.keep(process.pid)
        except OSError as error:
            raise JobError(f"The command could not be started: {error.strerror}.") from error
        return process

    async def _end(self, process: Process) -> None:
        """End the process group: politely first, since a Terraform that is killed leaves its state locked."""
        deadline = asyncio.get_running_loop().time() + self._grace_seconds
        if are_known():
            await self._ask_to_end(process, deadline)
        else:
            signal_group(process.pid, signal.SIGTERM)
            while process.returncode is None and await self._is_grace_left(deadline):
                pass
        signal_group(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), DEATH_SECONDS)
            children.forget(process.pid)

    async def _ask_to_end(self, process: Process, deadline: float) -> None:
        members = await asyncio.to_thread(self._cell.to_terminate, process.pid)
        for member in members:
            signal_if_same(member, signal.SIGTERM)
        while members and await self._is_grace_left(deadline):
            members = await asyncio.to_thread(self._cell.to_terminate, process.pid)

    async def _is_grace_left(self, deadline: float) -> bool:
        return asyncio.get_running_loop().time() < deadline and await self._stop.grace(LOOK_SECONDS)

    async def close(self) -> None:
        """Take in the last output. To be called when nothing of the run is alive any more."""
        if self._lingering:
            _, late = await asyncio.wait(self._lingering, timeout=LAST_OUTPUT_SECONDS)
            for task in late:
                task.cancel()
            for problem in await asyncio.gather(*self._lingering, return_exceptions=True):
                if isinstance(problem, Exception):
                    log.error("output_lost", exc_info=problem)
        for pipe in self._pipes:
            pipe.close()
