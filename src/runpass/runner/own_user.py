"""Isolation by user: started as root, the runner gives every run a user and group that nothing else has.

Runners of one host agree on ranges of 64 user ids through locked files; whoever holds the lock owns the range, and
what still runs as one of its users when the lock was got was left by a runner that is gone.
"""

import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog

from runpass.errors import ConfigurationError, JobError
from runpass.protocol.registration import Isolation
from runpass.runner.cell import Launch, Owner
from runpass.runner.cgroup import Cgroup, own_directory, remove_empty
from runpass.runner.processes import ProcessInfo, end_all, group_members, of_users
from runpass.runner.workspace import remove_tree

log = structlog.get_logger()
RANGE_SIZE: Final = 64
RANGES: Final = 256
SHARED_DIRECTORIES: Final = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 -- swept, not used


class UserRange:
    """User ids that only this runner gives to runs."""

    def __init__(self, lock_dir: Path, base: int) -> None:
        self._descriptor, first = _lock_a_range(lock_dir, base)
        self.uids = frozenset(range(first, first + RANGE_SIZE))
        # The longest unused one is taken next, so that a forgotten file of a run meets no other run for long.
        self._free = deque(sorted(self.uids))

    def take(self) -> int:
        """Give a user id that no run has."""
        if not self._free:
            raise JobError("No user id is free for this run.")
        return self._free.popleft()

    def give_back(self, uid: int) -> None:
        """Let the user id be used again, last of all."""
        self._free.append(uid)

    def close(self) -> None:
        """Let another runner have the range."""
        os.close(self._descriptor)


def _lock_a_range(lock_dir: Path, base: int) -> tuple[int, int]:
    try:
        lock_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SECURITY: who could lock or replace these files could make two runners share users.
        lock_dir.chmod(0o700)
        for index in range(RANGES):
            first = base + RANGE_SIZE * index
            descriptor = _try_to_lock(lock_dir / f"{first}.lock")
            if descriptor is not None:
                return descriptor, first
    except OSError as error:
        raise ConfigurationError(f"uid_lock_dir {lock_dir} cannot be used: {error.strerror}") from error
    raise ConfigurationError(f"all ranges of user ids above {base} are taken by other runners")


def _try_to_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def _abandoned(lock_dir: Path) -> Iterator[frozenset[int]]:
    """Hold all ranges that no runner has, and give their user ids: one may have died and its range been left over."""
    held, uids = [], set[int]()
    try:
        for path in lock_dir.glob("*.lock"):
            if path.stem.isdigit() and (descriptor := _try_to_lock(path)) is not None:
                held.append(descriptor)
                uids.update(range(int(path.stem), int(path.stem) + RANGE_SIZE))
        yield frozenset(uids)
    finally:
        for descriptor in held:
            os.close(descriptor)


class OwnUserIsolator:
    """Every run is a user of its own."""

    kind = Isolation.UID

    def __init__(self, lock_dir: Path, base: int, why: str) -> None:
        self.why = why
        self._lock_dir = lock_dir
        self._range = UserRange(lock_dir, base)
        self._cgroups = own_directory()

    def limit(self, capacity: int) -> int:
        """Allow fewer runs than there are users."""
        return min(capacity, RANGE_SIZE - 4)

    def reclaim(self, work_dir: Path) -> None:  # noqa: ARG002 -- users say whose a process is, wherever it stands
        """End every process of users that are ours or nobody's, and remove what they left in shared directories."""
        with _abandoned(self._lock_dir) as abandoned:
            uids = self._range.uids | abandoned
            stubborn = end_all(lambda: of_users(uids))
            if stubborn:
                raise ConfigurationError(f"processes of an earlier runner would not die: {stubborn}")
            _sweep_shared_directories(uids)
        remove_empty(self._cgroups)

    def cell(self, run: str) -> "OwnUserCell":
        """Give the run a user."""
        return OwnUserCell(self._range, Cgroup.make(self._cgroups, run))

    def close(self) -> None:
        """Let another runner have the users."""
        self._range.close()


class OwnUserCell:
    """One run's user."""

    def __init__(self, users: UserRange, cgroup: Cgroup | None) -> None:
        self._users = users
        self._cgroup = cgroup
        self._uid = users.take()
        self._is_clean = True

    @property
    def owner(self) -> Owner:
        """Whose the workspace must be."""
        return Owner(self._uid, self._uid)

    def launch(self, argv: Sequence[str], home: Path) -> Launch:  # noqa: ARG002 -- file modes keep runs apart
        """Start it as the run's user."""
        return Launch(tuple(argv), self.owner)

    def started(self, pid: int) -> None:
        """Put it into the run's control group."""
        self._is_clean = False
        if self._cgroup is not None:
            self._cgroup.take_in(pid)

    def to_terminate(self, leader: int) -> list[ProcessInfo]:
        """Give the members of the process group."""
        return group_members(leader)

    def end(self) -> list[int]:
        """Kill the control group and then, whatever it held, every process of the run's user."""
        if self._cgroup is not None:
            self._cgroup.end()
        # SECURITY: a process leaves its group and session as it likes (setsid, double fork), never its user.
        users = frozenset({self._uid})
        stubborn = end_all(lambda: of_users(users))
        if not stubborn:
            _sweep_shared_directories(users)
            self._is_clean = True
        return stubborn

    def release(self) -> None:
        """Give the user back; one that still has processes is never used again."""
        if self._is_clean:
            self._users.give_back(self._uid)
        else:
            log.error("uid_withdrawn", uid=self._uid)


def _sweep_shared_directories(uids: frozenset[int]) -> None:
    """Remove what these users left where everybody may write, so that the next run with the id does not find it."""
    for directory in SHARED_DIRECTORIES:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            _sweep(descriptor, uids)
        finally:
            os.close(descriptor)


def _sweep(directory: int, uids: frozenset[int]) -> None:
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if found.st_uid not in uids:
                continue
            remove_tree(name, directory)
        except OSError as error:
            log.warning("leftover_stays", error=error.strerror)
