"""What a run uses at a moment: processes, memory and disk, measured from outside."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runpass.runner import leftovers
from runpass.runner.processes import PROC, ProcessInfo

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
BLOCK_BYTES: Final = 512
"""The unit of `st_blocks`, whatever the file system's own is."""
MOST_DEPTH: Final = 100
"""Levels of directories that are looked into: each one holds a file open while what is below it is measured."""


def threads_of(processes: Iterable[ProcessInfo]) -> int:
    """Give how many processes and threads these are, as the kernel counts them."""
    return sum(max(process.threads, 1) for process in processes)


def memory_of(processes: Iterable[ProcessInfo], enough: int) -> int:
    """Give the bytes of memory that these processes hold, exactly only where that is more than `enough`.

    What they share is first counted for each of them, which is quick; only a sum beyond `enough` is worth more.
    """
    pids = [process.pid for process in processes]
    quick = {pid: _resident(pid) for pid in pids}
    if sum(quick.values()) <= enough:
        return sum(quick.values())
    return sum(_proportional(pid, quick[pid]) for pid in pids)


def _resident(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "statm").read_bytes().split()[1]) * PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def _proportional(pid: int, otherwise: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_bytes().splitlines()
    except OSError:
        return otherwise
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Pss:")), otherwise)


class TooDeep(Exception):
    """Directories are nested deeper than is measured."""


@dataclass(slots=True)
class Disk:
    """What was measured so far. It stops at `most_files`: beyond it, the number alone says enough."""

    most_files: int
    bytes: int = 0
    files: int = 0
    _seen: set[tuple[int, int]] = field(default_factory=set)
    """Files with several names, or none, that were counted already."""

    @property
    def is_over(self) -> bool:
        """Whether there are more files than need be counted."""
        return self.files > self.most_files

    def add(self, found: os.stat_result) -> None:
        """Count one file or directory, the space that it really takes."""
        self.files += 1
        if found.st_nlink != 1 and not stat.S_ISDIR(found.st_mode):
            if (found.st_dev, found.st_ino) in self._seen:
                return
            self._seen.add((found.st_dev, found.st_ino))
        self.bytes += found.st_blocks * BLOCK_BYTES


def measure(directory: Path, processes: Iterable[ProcessInfo], uid: int | None, most_files: int) -> Disk:
    """Give what a run has on disk.

    That is its directory, its open files without a name and, for a user of its own, what that user has in shared
    directories. Blocking, for seconds where there are very many files. Raises `TooDeep`.

    SECURITY: follows no link and opens nothing but directories, since the run changes all of it meanwhile.
    """
    disk = Disk(most_files)
    parent = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _add_tree(disk, directory.name, parent, 0)
    finally:
        os.close(parent)
    for found in _without_names(processes):
        disk.add(found)
    if uid is not None:
        for name, place in leftovers.belongings(frozenset({uid})):
            _add_tree(disk, name, place, 0)
    return disk


def _add_tree(disk: Disk, name: str, parent: int, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise TooDeep
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        disk.add(found)
        if not stat.S_ISDIR(found.st_mode):
            return
        directory = _open(name, parent)
    except OSError:  # gone meanwhile
        return
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if disk.is_over:
                    return
                _add_tree(disk, entry.name, directory, depth + 1)
    except OSError:
        return
    finally:
        os.close(directory)


def _open(name: str, parent: int) -> int:
    flags = os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, os.O_RDONLY | flags, dir_fd=parent)
    except PermissionError:
        if sys.platform != "linux":
            raise
        # A run of the runner's own user closed it. It is opened again, or any amount could be hidden in it: this very
        # directory, by its handle, whatever has its name by now.
        handle = os.open(name, os.O_PATH | flags, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101 -- a handle
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(handle)


def _without_names(processes: Iterable[ProcessInfo]) -> Iterator[os.stat_result]:
    """Give the files that these processes hold open and that have no name any more: they take space all the same."""
    for process in processes:
        place = PROC / str(process.pid) / "fd"
        try:
            links = list(place.iterdir())
        except OSError:
            continue
        for link in links:
            try:
                found = link.stat()  # of the open file, not of its name
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                yield found
