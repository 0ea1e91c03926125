"""Killing every process of a user in one step of the kernel.

SECURITY: a list of processes is always old. A process that forks and ends every fraction of a millisecond is never both
listed and alive, so it outlives every sweep of /proc. `kill(-1)` misses none: the kernel signals all processes with the
table of processes held, and a process with a deadly signal waiting cannot fork.

A helper does it, with these rights: its effective user is the run's, so it may signal the run's processes; its real and
saved user is the keeper, an id that no run ever gets, so that the run's processes may not signal it. `kill(-1)` also
reaches what runs as the keeper: one helper per keeper at a time, which is the caller's to see to.
"""

import subprocess
import sys
from dataclasses import dataclass
from typing import Final

from runpass.runner import children

HELPER_SECONDS: Final = 60.0

# A program of its own, since only a process without threads may safely fork. It leaves with 1 if it failed for a user.
_HELPER: Final = """
import os, signal, sys

def kill_all(keeper, uid):
    try:
        os.setgroups([])
        os.setresgid(keeper, keeper, keeper)
        os.setresuid(keeper, uid, keeper)
        if keeper <= 0 or uid <= 0 or os.getresuid() != (keeper, uid, keeper):
            os._exit(1)  # as root, the next line would end the machine
        os.kill(-1, signal.SIGKILL)
        os._exit(0)
    except ProcessLookupError:
        os._exit(0)
    finally:
        os._exit(1)

failed = False
keeper, first, last = map(int, sys.argv[1:])
for uid in range(first, last + 1):
    child = os.fork()
    if child == 0:
        kill_all(keeper, uid)
    failed |= os.waitpid(child, 0)[1] != 0
sys.exit(failed)
"""


@dataclass(frozen=True, slots=True)
class Victims:
    """User ids from `first` to `last`, and the keeper that is not among them."""

    keeper: int
    first: int
    last: int


def kill_users(victims: Victims) -> bool:
    """Send SIGKILL to all processes of these users; whether that was done for each. Needs root. Blocking."""
    numbers = map(str, (victims.keeper, victims.first, victims.last))
    argv = [sys.executable, "-I", "-S", "-c", _HELPER, *numbers]
    try:
        with children.starting():
            done = subprocess.run(  # noqa: S603 -- our own arguments
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                timeout=HELPER_SECONDS,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
