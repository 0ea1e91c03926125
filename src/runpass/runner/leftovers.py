"""What a user leaves outside its own directory, removed so that the next run with the id does not find it."""

import contextlib
import ctypes
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import structlog

from runpass.runner.workspace import remove_tree

log = structlog.get_logger()
SHARED_DIRECTORIES: Final = tuple(
    map(Path, ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock", "/run/shm", "/var/crash", "/run/screen"))  # noqa: S108 -- swept, not used
)
"""Where everybody may write. Directories right below them that everybody may write to are swept as well."""
_SYSTEM_V: Final = Path("/proc/sysvipc")
_IPC_RMID: Final = 0


def sweep(uids: frozenset[int]) -> None:
    """Remove what these users left. Nothing of theirs may be running any more."""
    for name, directory in belongings(uids):
        try:
            remove_tree(name, directory)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("leftover_stays", error=error.strerror)
    _sweep_system_v(uids)


def belongings(uids: frozenset[int]) -> Iterator[tuple[str, int]]:
    """Give what these users have in shared directories: a name, and the open directory that it stands in."""
    for directory in SHARED_DIRECTORIES:
        for opened in _open_shared(directory):
            for name in _names_of(opened, uids):
                yield name, opened


def _open_shared(directory: Path) -> Iterator[int]:
    """Open the directory and then those right below it that everybody may write to, one at a time."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        yield descriptor
        with os.scandir(descriptor) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in names:
            yield from _open_if_shared(name, descriptor)
    finally:
        os.close(descriptor)


def _open_if_shared(name: str, parent: int) -> Iterator[int]:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError:
        return
    try:
        if os.fstat(descriptor).st_mode & stat.S_IWOTH:
            yield descriptor
    finally:
        os.close(descriptor)


def _names_of(directory: int, uids: frozenset[int]) -> Iterator[str]:
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        with contextlib.suppress(OSError):  # gone meanwhile
            if os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid in uids:
                yield name


def _sweep_system_v(uids: frozenset[int]) -> None:
    """Remove shared memory, semaphores and message queues of System V, which outlive every process."""
    libc = ctypes.CDLL(None, use_errno=True)
    removals: dict[str, Callable[[int], int]] = {
        "shm": lambda number: _as_int(libc.shmctl(number, _IPC_RMID, None)),
        "sem": lambda number: _as_int(libc.semctl(number, 0, _IPC_RMID)),
        "msg": lambda number: _as_int(libc.msgctl(number, _IPC_RMID, None)),
    }
    for kind, remove in removals.items():
        for number in _system_v_of(kind, uids):
            if remove(number) != 0:
                log.warning("leftover_stays", error=os.strerror(ctypes.get_errno()))


def _as_int(answer: Any) -> int:
    return int(answer)


def _system_v_of(kind: str, uids: frozenset[int]) -> list[int]:
    """Give the numbers of the objects that one of these users owns or, having given them to somebody else, made."""
    try:
        heading, *lines = (_SYSTEM_V / kind).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []
    columns = heading.split()
    number, owner, maker = (
        columns.index("msqid" if kind == "msg" else f"{kind}id"),
        columns.index("uid"),
        columns.index("cuid"),
    )
    rows = [[int(field) for field in line.split()] for line in lines]
    return [row[number] for row in rows if row[owner] in uids or row[maker] in uids]
