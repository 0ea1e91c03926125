"""Control groups (version 2): where this runner may make one, every run gets its own, ended with a single write."""

import contextlib
import os
import time
from collections.abc import Container
from pathlib import Path
from typing import Final

import structlog

from runpass.runner.cgroup_limits import LEAF, CgroupLimits
from runpass.runner.limits import Limits

log = structlog.get_logger()
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


def end_left(parent: Path | None, uids: Container[int]) -> None:
    """End and remove the control groups of runs that had one of these users, all of which have lost their runner."""
    for directory in [] if parent is None else parent.glob(f"{PREFIX}*"):
        uid = directory.name.removeprefix(PREFIX).partition("-")[0]
        if uid.isdecimal() and int(uid) in uids:
            _end(directory)


def _end(directory: Path) -> None:
    """Kill everything in a control group and remove it, which may take until the killed are gone from it."""
    with contextlib.suppress(OSError):
        (directory / "cgroup.kill").write_text("1", encoding="ascii")
    deadline = time.monotonic() + END_SECONDS
    while not _is_removed(directory):
        if time.monotonic() > deadline:
            log.warning("control_group_left", place=str(directory))
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


class Cgroup:
    """The control group of one run."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self._directory = directory
        self._limits = CgroupLimits(directory, limits)

    @classmethod
    def make(cls, parent: Path | None, uid: int, run: str, limits: Limits) -> "Cgroup | None":
        """Make the control group of a run with these limits, or give nothing where that cannot be done.

        The run's user is in its name: whoever holds the user's range later knows that the group is nobody's any more.
        """
        if parent is None:
            return None
        directory = parent / f"{PREFIX}{uid}-{run}"
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
        """Put a process, and with it all that it will start, into the group. May block for some milliseconds.

        One that stays outside is told of: the kernel does not hold it to any limit, only the runner's own looks do.
        """
        try:
            (self._directory / "cgroup.procs").write_text(str(pid), encoding="ascii")
        except ProcessLookupError:
            return  # it has ended already
        except OSError as error:
            log.warning("process_outside_of_its_cgroup", cgroup=self._directory.name, error=error.strerror)

    def exceeded(self) -> str | None:
        """Give the sentence of the limit that the kernel held the run to, if it had to."""
        return self._limits.exceeded()

    def end(self) -> None:
        """Kill everything in the group and remove it."""
        _end(self._directory)
