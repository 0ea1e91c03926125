"""What one run may use of the runner's machine, and the sentences that say it used more.

Four things hold a run to them: the kernel's limits of a process, set before anything of the run is running (`gate`); a
control group, where this runner can set one up (`cgroup`); looks at what the run uses (`usage`, `watch`); and, for a
disk that is full already, taking no work (`free_space`).
"""

import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runpass.runner.settings import RunnerSettings

MIB: Final = 1024 * 1024
LEAST_SHARE_BYTES: Final = 512 * MIB
KEPT_BACK: Final = 8
"""One part in so many of the machine's memory is left to everything that is not a run."""
UNKNOWN_MEMORY_BYTES: Final = 2048 * MIB
SHELL_BLOCK_BYTES: Final = 512
"""The unit of `ulimit -f` in a POSIX shell."""
_FILE_TOO_LARGE: Final = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)
"""How a command, or a shell whose last command it was, ends when a file would outgrow its limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use at once."""

    memory_bytes: int
    processes: int
    """Processes and threads together, as the kernel counts them."""
    disk_bytes: int
    files: int
    open_files: int
    """Of one process."""

    def more_memory(self) -> str:
        """Say that the run used too much memory."""
        return f"The run used more than its {self.memory_bytes // MIB} MiB of memory."

    def more_processes(self) -> str:
        """Say that the run had too many processes."""
        return f"The run reached its limit of {self.processes} processes and threads."

    def more_disk(self) -> str:
        """Say that the run used too much disk."""
        return f"The run used more than its {self.disk_bytes // MIB} MiB of disk."

    def more_files(self) -> str:
        """Say that the run made too many files."""
        return f"The run made more than its {self.files} files and directories."

    def of_status(self, status: int) -> str | None:
        """Say which limit ended a command with this exit status, if its status tells."""
        return self.more_disk() if status in _FILE_TOO_LARGE else None


TOO_DEEP: Final = "The run nested directories so deep that its use of the disk cannot be measured."


def limits_of(settings: RunnerSettings) -> Limits:
    """Give the limits of each of this runner's runs."""
    memory = settings.job_memory_mib
    return Limits(
        memory_bytes=memory * MIB if memory is not None else share(machine_memory(), settings.capacity),
        processes=settings.job_processes,
        disk_bytes=settings.job_disk_mib * MIB,
        files=settings.job_files,
        open_files=settings.job_open_files,
    )


def share(total_bytes: int, runs: int) -> int:
    """Give one run's equal share of the machine's memory, with something kept back and never very little."""
    return max(LEAST_SHARE_BYTES, (total_bytes - total_bytes // KEPT_BACK) // runs)


def machine_memory() -> int:
    """Give this machine's memory in bytes; a small guess where it cannot be read."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return UNKNOWN_MEMORY_BYTES


def open_files_of_children(wanted: int) -> tuple[int, int]:
    """Give the soft and the hard number of open files for a child; nobody may raise what this process was given.

    The soft one stays where it is: programs that use select(2) fail with descriptors beyond 1024.
    """
    soft, hard = (wanted if value == resource.RLIM_INFINITY else value for value in _own_open_files())
    return min(soft, hard, wanted), min(hard, wanted)


def _own_open_files() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def processes_of_children(wanted: int) -> int:
    """Give the number of processes for a child; small machines give this one fewer than usual."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def file_blocks_of_children(wanted_bytes: int) -> int:
    """Give the largest size of a file for a child, in blocks of `ulimit -f`."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    bytes_ = wanted_bytes if hard == resource.RLIM_INFINITY else min(wanted_bytes, hard)
    return bytes_ // SHELL_BLOCK_BYTES
