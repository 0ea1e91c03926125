"""The kernel's keyrings: none of the runner's for a run, none of a run's for the next one. Linux only.

A keyring is reached by possession as well as by user: whoever inherits a session's keyring possesses it.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from runpass.runner import children

log = structlog.get_logger()
USERS: Final = Path("/proc/key-users")
HELPER_SECONDS: Final = 30.0
_KEYCTL: Final = {"x86_64": 250, "aarch64": 219}
"""Number of the system call, which the C library has no name for."""
_JOIN_SESSION: Final = 1

# As root first, since the interpreter may stand where only root can read; then as the user whose rings they are.
_HELPER: Final = """
import ctypes, os, sys
number, uid = map(int, sys.argv[1:])
syscall = ctypes.CDLL(None).syscall
keyctl = lambda *arguments: syscall(*(ctypes.c_long(item) for item in (number, *arguments)))
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
if uid <= 0 or os.getresuid() != (uid, uid, uid):
    sys.exit(1)
GET_ID, CLEAR, INVALIDATE, PERSISTENT, PROCESS_RING, SESSION_RING, USER_RING = 0, 7, 21, 22, -2, -5, -4
# Their numbers first: asking for one of the two makes the other one again.
rings = [keyctl(GET_ID, USER_RING, 1), keyctl(GET_ID, SESSION_RING, 1), keyctl(PERSISTENT, -1, PROCESS_RING)]
for ring in rings:
    if ring > 0:
        keyctl(CLEAR, ring)
        keyctl(INVALIDATE, ring)
"""


def _number() -> int | None:
    return _KEYCTL.get(os.uname().machine) if sys.platform == "linux" else None


@contextlib.contextmanager
def own_session() -> Iterator[None]:
    """Start a command within: it gets an empty session keyring that neither this process nor another command has.

    SECURITY: what two processes inherit they share. Where the kernel refuses (a container's filter), it refuses runs.
    """
    _join_new_session()
    try:
        yield
    finally:
        _join_new_session()


def _join_new_session() -> None:
    """Give this thread, and what it starts from now on, an empty session keyring."""
    if (number := _number()) is not None:
        ctypes.CDLL(None).syscall(ctypes.c_long(number), ctypes.c_long(_JOIN_SESSION), None)


def sweep(uids: frozenset[int]) -> None:
    """Empty the keyrings that these users left. Nothing of theirs may be running any more. Needs root. Blocking."""
    number = _number()
    for uid in () if number is None else sorted(_with_keys() & uids):
        try:
            with children.starting():
                done = subprocess.run(  # noqa: S603 -- our own arguments
                    [sys.executable, "-I", "-S", "-c", _HELPER, str(number), str(uid)],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    env={},
                    cwd="/",
                    timeout=HELPER_SECONDS,
                    check=False,
                )
        except (OSError, subprocess.TimeoutExpired):
            log.warning("keyrings_stay", uid=uid)
            continue
        if done.returncode != 0:
            log.warning("keyrings_stay", uid=uid)


def _with_keys() -> frozenset[int]:
    try:
        lines = USERS.read_text(encoding="utf-8").splitlines()
        return frozenset(int(line.partition(":")[0]) for line in lines)
    except (OSError, ValueError):
        return frozenset()
