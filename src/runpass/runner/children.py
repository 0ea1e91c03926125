"""Which children this process started itself, so that only the others, orphans that came to it, are reaped here.

Whoever starts a program waits for it, and would miss its exit status if somebody else had. Orphans of jobs have nobody:
not reaped, they fill the table of processes.
"""

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator

_lock = threading.Lock()
_own: set[int] = set()
_starts: list[None] = []
"""One for each program that is being started: its number is not known yet, so nothing is reaped meanwhile."""


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Hold reaping off while a program is started, or for all its life if that is short."""
    with _lock:
        _starts.append(None)
    try:
        yield
    finally:
        with _lock:
            _starts.pop()


def keep(pid: int) -> None:
    """Leave this child to who started it. To be called within `starting`."""
    with _lock:
        _own.add(pid)


def forget(pid: int) -> None:
    """Take note that who started this child has waited for it."""
    with _lock:
        _own.discard(pid)


def reap(pids: Iterable[int]) -> None:
    """Reap those of these that are orphans and have ended."""
    with _lock:
        if not _starts:
            for pid in pids:
                _reap(pid)


def reap_orphans() -> None:
    """Reap every orphan that has ended. Linux only, and only for a process that adopts orphans: see `harden`."""
    with _lock, contextlib.suppress(ChildProcessError):
        while not _starts:
            # A look that changes nothing; it shows one of our own only until who started it comes to wait.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or not _reap(ended.si_pid):
                return


def _reap(pid: int) -> bool:
    if pid in _own:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return True
