"""Control groups (version 2): where this runner may make one, every run gets its own, ended with a single write."""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from runpass.runner.cgroup_limits import LEAF, CgroupLimits
from runpass.runner.limits import Limits

PREFIX: Final = "runpass-"
END_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 0.005


def own_directory() -> Path | None:
    """Give this process's directory in the version 2 tree, if there is one it can make others in."""
    try:
        relative = next(
            line.rstrip("\n").removeprefix("0::")
            for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
            if line.startswith("0::")
        )
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, StopIteration):
        return None
    points = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    if not points:
        return None
    directory = Path(points[0] + relative.rstrip("/"))
    if directory.name == LEAF:  # where an earlier runner of this process went
        directory = directory.parent
    return directory if os.access(directory / "cgroup.procs", os.W_OK) and os.access(directory, os.W_OK) else None


def remove_empty(parent: Path | None) -> None:
    """Remove the control groups that runs of earlier runners left with nothing in them.

    A process that was killed a moment ago is in no list any more and still keeps its group from being removed.
    """
    deadline = time.monotonic() + END_SECONDS
    left = [] if parent is None else list(parent.glob(f"{PREFIX}*"))
    while left := [directory for directory in left if not _is_removed(directory) and _is_deserted(directory)]:
        if time.monotonic() > deadline:
            return
        time.sleep(RETRY_SECONDS)


def _is_removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _is_deserted(directory: Path) -> bool:
    """Whether no living process is in a control group."""
    try:
        return not (directory / "cgroup.procs").read_text(encoding="ascii").strip()
    except OSError:
        return False


class Cgroup:
    """The control group of one run."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self._directory = directory
        self._limits = CgroupLimits(directory, limits)

    @classmethod
    def make(cls, parent: Path | None, name: str, limits: Limits) -> "Cgroup | None":
        """Make a control group of this name with these limits, or give nothing where that cannot be done."""
        if parent is None:
            return None
        directory = parent / f"{PREFIX}{name}"
        try:
            directory.mkdir(exist_ok=True)
        except OSError:
            return None
        if not (directory / "cgroup.kill").exists():
            with contextlib.suppress(OSError):
                directory.rmdir()
            return None
        group = cls(directory, limits)
        group._limits.set()
        return group

    def take_in(self, pid: int) -> None:
        """Put a process, and with it all that it will start, into the group. May block for some milliseconds."""
        with contextlib.suppress(OSError):
            try:
                self._write_pid(pid)
            except FileNotFoundError:
                # Another runner of this host, starting, took the group of a run that had not begun for a leftover.
                self._directory.mkdir(exist_ok=True)
                self._limits.set()
                self._write_pid(pid)

    def _write_pid(self, pid: int) -> None:
        (self._directory / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def exceeded(self) -> str | None:
        """Give the sentence of the limit that the kernel held the run to, if it had to."""
        return self._limits.exceeded()

    def end(self) -> None:
        """Kill everything in the group and remove it."""
        deadline = time.monotonic() + END_SECONDS
        with contextlib.suppress(OSError):
            (self._directory / "cgroup.kill").write_text("1", encoding="ascii")
        while time.monotonic() < deadline:
            try:
                self._directory.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(RETRY_SECONDS)
            else:
                return
