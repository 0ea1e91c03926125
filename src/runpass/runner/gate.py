"""The gate that a command waits at until its limits are set and the runner has taken note of it.

Limits are set by the waiting process itself, in a shell: it may lower its own wherever it runs, while a runner in a
container often may not set another process's; and nothing of ours runs between fork and exec.
"""

import os
from collections.abc import Sequence
from typing import Final

from runpass.runner.limits import Limits, file_blocks_of_children, open_files_of_children, processes_of_children

NOT_LIMITED: Final = 125
"""Exit status of a command that was not started, because the runner was gone or a limit could not be set."""

# SECURITY: without a line the runner has ended meanwhile, or could not take note: nothing is started then. The name is
# one that no variable of a run may have, so nothing of the environment changes.
_WAIT: Final = (
    'read -r RUNPASS_GATE || exit 125; unset RUNPASS_GATE; ulimit -c 0 && ulimit -f "$1" && ulimit -S -n "$2"'
    ' && ulimit -H -n "$3" || { echo "The limits of the run cannot be set." >&2; exit 125; };'
    ' shift 3; exec "$@" </dev/null'
)
# Bash and zsh count processes with -u, dash and BusyBox with -p.
_COUNT: Final = (
    'ulimit -u "$1" 2>/dev/null || ulimit -p "$1" 2>/dev/null'
    ' || { echo "The limit of processes cannot be set." >&2; exit 125; }; shift; exec "$@"'
)


def counted(argv: Sequence[str], processes: int) -> tuple[str, ...]:
    """Give the arguments that start a program with so many processes and threads at most.

    For a user, or a user namespace, that is the run's alone: the kernel counts everything that the user has.
    """
    return ("/bin/sh", "-c", _COUNT, "sh", str(processes_of_children(processes)), *argv)


def guarded(argv: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """Give the arguments that start a program once a line comes in at its standard input, with these limits."""
    soft, hard = open_files_of_children(limits.open_files)
    blocks = file_blocks_of_children(limits.disk_bytes)
    return ("/bin/sh", "-c", _WAIT, "sh", str(blocks), str(soft), str(hard), *argv)


class Gate:
    """A pipe: the command waits at its reading end."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        self._is_closed = False

    def close_reading(self) -> None:
        """Leave the reading end to the child alone."""
        os.close(self.reading)

    def open(self) -> None:
        """Let the command go on; one that has ended already is no error."""
        try:
            os.write(self._writing, b"\n")
        except BrokenPipeError:
            return
        finally:
            self.close()

    def close(self) -> None:
        """Never let it go on, if it has not yet."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._writing)
