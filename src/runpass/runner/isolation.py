"""Which isolation this machine allows, and the case where it allows none."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runpass.errors import ConfigurationError
from runpass.protocol.registration import Isolation
from runpass.runner import bubblewrap
from runpass.runner.cell import Isolator, Launch
from runpass.runner.limits import Limits
from runpass.runner.own_user import OwnUserIsolator
from runpass.runner.processes import (
    PROC,
    ProcessInfo,
    adopts_orphans,
    all_processes,
    descendants,
    end_all,
    group_members,
)
from runpass.runner.settings import RunnerSettings


@dataclass(frozen=True, slots=True)
class Detected:
    """The best isolation there is here, and why it is that one."""

    kind: Isolation
    why: str
    program: str | None = None


def detect(uid_base: int) -> Detected:
    """Find out, by trying, how runs can be kept apart on this machine."""
    if os.geteuid() == 0:
        if sys.platform == "linux" and _can_become(uid_base):
            return Detected(Isolation.UID, "The runner is root, so every run gets a user of its own.")
        return Detected(Isolation.NONE, f"The runner is root but cannot start programs as user {uid_base}.")
    program = bubblewrap.find()
    if program is not None:
        return Detected(Isolation.BUBBLEWRAP, "The runner is not root and bubblewrap works.", program)
    found = "does not work" if shutil.which("bwrap") else "is not installed"
    return Detected(Isolation.NONE, f"The runner is not root, and bubblewrap {found}.")


def _can_become(uid: int) -> bool:
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", "exit 0"], stdin=subprocess.DEVNULL, user=uid, group=uid, extra_groups=[], check=False
        )
    except OSError:
        return False
    # Killed is as good as ended: another runner of the host may be sweeping this very user.
    return done.returncode in {0, -signal.SIGKILL}


def open_isolation(settings: RunnerSettings, limits: Limits) -> Isolator:
    """Give the isolation of this runner.

    Raises `ConfigurationError` if it is not the one that the settings ask for, and if there is none and they do not
    allow that.
    """
    detected = _chosen(settings)
    match detected.kind:
        case Isolation.UID:
            return OwnUserIsolator(settings.uid_lock_dir, settings.uid_base, limits, detected.why)
        case Isolation.BUBBLEWRAP:
            program = detected.program or "bwrap"
            return bubblewrap.BubblewrapIsolator(program, settings.tool_path, limits, detected.why)
        case Isolation.NONE:
            if not settings.allow_unisolated:
                raise ConfigurationError(
                    f"Runs cannot be kept apart here, and a job could read the runner's own key. {detected.why}",
                    hint="Start the runner as root, install bubblewrap, or set allow_unisolated if every job is yours.",
                )
            return NoIsolator(detected.why)


def _chosen(settings: RunnerSettings) -> Detected:
    detected = detect(settings.uid_base)
    match settings.isolation:
        case None | detected.kind:
            return detected
        case Isolation.NONE:
            return Detected(Isolation.NONE, "The settings ask for none.")
        case wanted:
            raise ConfigurationError(
                f"Runs cannot be kept apart by {wanted.value} here. {detected.why}",
                hint="uid needs a runner that is root, on Linux; bubblewrap one that is not, and bwrap on its PATH.",
            )


class NoIsolator:
    """Runs are the runner's own user, one at a time."""

    kind = Isolation.NONE

    def __init__(self, why: str) -> None:
        self.why = why

    def limit(self, capacity: int) -> int:  # noqa: ARG002 -- whatever was asked for
        """Allow one run."""
        return 1

    def reclaim(self, work_dir: Path) -> None:
        """End the processes of this user that were given a workspace of this runner."""
        mark = f"ENV0_ROOT_DIR={work_dir}/".encode()
        own = os.getpid()

        def find() -> list[ProcessInfo]:
            return [p for p in all_processes() if p.pid != own and not p.is_dead and mark in _environment(p.pid)]

        end_all(find)

    def cell(self, run: str) -> "NoCell":  # noqa: ARG002 -- there is only one
        """Give the run what there is."""
        return NoCell()

    def close(self) -> None:
        """Hold nothing."""


def _environment(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return b""


class NoCell:
    """One run beside the runner."""

    owner = None

    def __init__(self) -> None:
        self._leaders: set[int] = set()

    def launch(self, argv: Sequence[str], home: Path) -> Launch:  # noqa: ARG002 -- it sees everything
        """Start it as it is."""
        return Launch(tuple(argv))

    def started(self, pid: int) -> None:
        """Remember it: its session and its descendants are the run's."""
        self._leaders.add(pid)

    def to_terminate(self, leader: int) -> list[ProcessInfo]:
        """Give the members of the process group."""
        return group_members(leader)

    def end(self) -> list[int]:
        """Kill the sessions of the run and, where orphans come to the runner, everything below it."""
        return end_all(self.members)

    def release(self) -> None:
        """Hold nothing."""

    def exceeded(self) -> None:
        """Say nothing: there is no control group."""

    def members(self) -> list[ProcessInfo]:
        """Give the sessions of the run and, where orphans come to the runner, everything below it."""
        if adopts_orphans():  # only a process that is nothing but a runner does: see `harden`
            return descendants(os.getpid())
        return [process for process in all_processes() if process.session in self._leaders]
