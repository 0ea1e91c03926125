"""The limits of a control group: set where the tree has the controllers, and read back when one of them was met."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runpass.runner.limits import Limits

CONTROLLERS: Final = ("memory", "pids", "cpu")
"""`cpu` sets nothing: with it, runs that want the processor at the same time get equal shares."""
LEAF: Final = "runner"
"""Where the runner goes: a group that hands controllers down may hold no process itself."""


def hand_down(directory: Path) -> frozenset[str]:
    """Have the groups below this one limited, as far as this process may, and give the controllers that do."""
    there = _words(directory / "cgroup.controllers")
    for name in CONTROLLERS:
        if name in there and name not in _words(directory / "cgroup.subtree_control"):
            _enable(directory, name)
    return _words(directory / "cgroup.subtree_control") & frozenset(CONTROLLERS)


def _enable(directory: Path, controller: str) -> None:
    with contextlib.suppress(OSError):
        try:
            _write(directory / "cgroup.subtree_control", f"+{controller}")
        except OSError:  # busy: this process is in the group
            _enable_from_below(directory, controller)


def _enable_from_below(directory: Path, controller: str) -> None:
    """Go out of the way, one level down, and try again; go back if somebody else is in the way too."""
    leaf = directory / LEAF
    leaf.mkdir(exist_ok=True)
    _write(leaf / "cgroup.procs", str(os.getpid()))
    try:
        _write(directory / "cgroup.subtree_control", f"+{controller}")
    except OSError:
        _write(directory / "cgroup.procs", str(os.getpid()))
        leaf.rmdir()
        raise


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """The limits of one run's control group."""

    directory: Path
    limits: Limits

    def set(self) -> None:
        """Set what the tree has a controller for; the looks of `watch` hold the run to the rest."""
        values = {
            "memory.max": str(self.limits.memory_bytes),
            "memory.swap.max": "0",
            "memory.oom.group": "1",  # half a run is of no use, and may not notice
            "pids.max": str(self.limits.processes),
        }
        for name, value in values.items():
            if (self.directory / name).exists():
                with contextlib.suppress(OSError):
                    _write(self.directory / name, value)

    def exceeded(self) -> str | None:
        """Give the sentence of the limit that the kernel held the run to, if it had to."""
        if _count(self.directory / "memory.events", "oom_kill"):
            return self.limits.more_memory()
        if _count(self.directory / "pids.events", "max"):
            return self.limits.more_processes()
        return None


def _count(path: Path, name: str) -> int:
    """Give a number of a file of `name number` lines; none where there is no such file or line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), 0)
    except (OSError, ValueError, IndexError):
        return 0


def _words(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text(encoding="utf-8").split())
    except OSError:
        return frozenset()


def _write(path: Path, value: str) -> None:
    path.write_text(value, encoding="utf-8")
