"""A child process that never outlives us: own process group, clean environment, ended by pid."""

import contextlib
import subprocess
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

# The background shell waits on a pipe that only we hold open: a line on it means that the child is gone, its end that
# we are gone, be it by SIGKILL, and that the child has to stop. `exec` gives the child the pid that we know.
_LIFELINE: Final = 'exec 3<&0; umask 077; (read -r _ <&3 || kill -TERM $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null'
KEPT_LINES: Final = 60
STOP_SECONDS: Final = 5.0


class ChildProcess:
    """A running program. `on_line` sees each line of its output and gives what may be kept of it, or None."""

    def __init__(self, command: Sequence[str], *, home: Path, on_line: Callable[[str], str | None]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- a checked binary, and no shell syntax from outside
            ["/bin/sh", "-c", _LIFELINE, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd=home,
            process_group=0,
        )
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._reader = threading.Thread(target=_drain, args=(self._process.stdout, on_line, self._kept), daemon=True)
        self._reader.start()
        # Ends the child when we are collected or the interpreter exits, should nobody have called `stop`.
        self._finalizer = weakref.finalize(self, _end, self._process)

    @property
    def pid(self) -> int:
        """The process id of the program itself."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the program is gone."""
        return self._process.poll() is not None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The end of its output."""
        return tuple(self._kept)

    def stop(self) -> None:
        """End the program (SIGTERM, then SIGKILL) and wait until it is gone; calling it again changes nothing."""
        self._finalizer()
        self._reader.join(STOP_SECONDS)


def _drain(output: IO[bytes], on_line: Callable[[str], str | None], kept: deque[str]) -> None:
    with output:
        for line in output:
            text = on_line(line.decode("utf-8", "replace").rstrip("\r\n"))
            if text:
                kept.append(text)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.write(b"\n")  # lets the shell go that waits for our end
            process.stdin.flush()
        with contextlib.suppress(OSError):
            process.stdin.close()
