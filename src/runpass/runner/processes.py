"""Processes, as Linux shows them in /proc: finding all of a run's, ending them, and hardening our own."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runpass.runner import children

PROC: Final = Path("/proc")
SWEEP_SECONDS: Final = 5.0
"""How long ending stubborn processes is tried before they are given up and reported."""
EMPTY_SCANS: Final = 3
"""How often in a row nothing must be found: one look at /proc misses what forks while it is looked at."""
_SET_DUMPABLE, _SET_SUBREAPER, _GET_SUBREAPER, _SET_NO_NEW_PRIVILEGES = 4, 36, 37, 38  # <linux/prctl.h>


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process: its family and its real, effective, saved and file system user ids."""

    pid: int
    parent: int
    group: int
    session: int
    uids: frozenset[int]
    is_dead: bool
    """Whether it has ended and only waits for its parent (a zombie)."""
    threads: int = 1


def harden() -> None:
    """Close what a job could use against this process. To be called once, in the main thread.

    SECURITY: no new privileges (nothing below the runner can gain any), not dumpable (nobody of the same user may read
    our memory or environment, or attach), no core files, no readable new files; orphans of jobs become our children,
    so that they can be found.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prctl(_SET_NO_NEW_PRIVILEGES, 1)
        _prctl(_SET_DUMPABLE, 0)
        _prctl(_SET_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def adopts_orphans() -> bool:
    """Whether orphans below this process become its children; only then are they known to be a job's."""
    if sys.platform != "linux":
        return False
    answer = ctypes.c_int(0)
    ctypes.CDLL(None, use_errno=True).prctl(_GET_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return answer.value == 1


def are_known() -> bool:
    """Whether this machine shows its processes. macOS does not."""
    return (PROC / "self").exists()


def hidden_from_others() -> bool:
    """Whether /proc keeps what belongs to other users' processes, their command lines among it, from a user."""
    try:
        mounts = [line.split() for line in (PROC / "mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return False
    options = [fields[3].split(",") for fields in mounts if fields[1:3] == [str(PROC), "proc"]]
    # The last mount covers the others. Even the weakest kind of hiding closes command lines.
    hiding = [option for option in (options[-1] if options else []) if option.startswith("hidepid=")]
    return bool(hiding) and hiding[0] not in {"hidepid=0", "hidepid=off"}


def all_processes() -> Iterator[ProcessInfo]:
    """Give every process of this machine that we may know of; none where there is no /proc."""
    try:
        with os.scandir(PROC) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return
    for name in names:
        if name.isdigit() and (found := describe(int(name))) is not None:
            yield found


def describe(pid: int) -> ProcessInfo | None:
    """Give what /proc knows of one process, or nothing if it is gone."""
    try:
        status = (PROC / str(pid) / "status").read_bytes()
        # The name in brackets may hold anything, brackets and spaces included: count from the last one.
        stat = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    uids = next((line.split()[1:] for line in status.splitlines() if line.startswith(b"Uid:")), [])
    state, parent, group, session = stat[0], int(stat[1]), int(stat[2]), int(stat[3])
    # SECURITY: a process whose first thread has ended looks like a zombie and lives on in its other threads.
    threads = int(stat[17])
    is_dead = state in {b"Z", b"X"} and threads <= 1
    return ProcessInfo(pid, parent, group, session, frozenset(map(int, uids)), is_dead, threads)


def group_members(group: int) -> list[ProcessInfo]:
    """Give the living processes of a process group."""
    return [process for process in all_processes() if process.group == group and not process.is_dead]


def descendants(ancestor: int) -> list[ProcessInfo]:
    """Give the processes below this one, zombies included."""
    children: dict[int, list[ProcessInfo]] = {}
    for process in all_processes():
        children.setdefault(process.parent, []).append(process)
    found, below = [], [ancestor]
    while below:
        new = children.pop(below.pop(), [])
        found += new
        below += [process.pid for process in new]
    return found


def of_users(uids: frozenset[int]) -> list[ProcessInfo]:
    """Give the processes that carry one of these user ids in any role."""
    return [process for process in all_processes() if process.uids & uids]


def signal_if_same(process: ProcessInfo, number: signal.Signals) -> None:
    """Send a signal to this very process: never to another that got its number meanwhile."""
    if not hasattr(os, "pidfd_open"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
        return
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        now = describe(process.pid)
        if now is not None and now.uids == process.uids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(handle, number)
    finally:
        os.close(handle)


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end_all(find: Callable[[], list[ProcessInfo]]) -> list[int]:
    """Kill what `find` finds until it finds nothing several times, and give the numbers of those that would not die.

    Blocking. Most processes that fork faster than we kill lose: all are stopped before any is killed. One that is never
    in the list while it lives does not: `killing` is for that.
    """
    deadline, empty = time.monotonic() + SWEEP_SECONDS, 0
    while True:
        found = find()
        children.reap(process.pid for process in found if process.is_dead and process.parent == os.getpid())
        alive = [process for process in found if not process.is_dead]
        empty = 0 if alive else empty + 1
        if empty == EMPTY_SCANS or time.monotonic() > deadline:
            return [process.pid for process in alive]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in alive:
                signal_if_same(process, number)
        time.sleep(0.005)
