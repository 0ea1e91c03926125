"""Ranges of user ids that runners of one host agree on through locked files: whoever holds the lock has the range."""

import contextlib
import fcntl
import grp
import os
import pwd
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runpass.errors import ConfigurationError, JobError
from runpass.runner.killing import Victims, kill_users

RANGE_SIZE: Final = 64
RANGES: Final = 256
SUBORDINATES: Final = (Path("/etc/subuid"), Path("/etc/subgid"))


@dataclass(frozen=True, slots=True)
class Span:
    """The ids of one range. The last is its keeper, which no run gets: see `killing`."""

    first: int

    @property
    def all(self) -> range:
        """Give every id, the keeper's too."""
        return range(self.first, self.first + RANGE_SIZE)

    @property
    def for_runs(self) -> range:
        """Give the ids that runs get."""
        return self.all[:-1]

    @property
    def victims(self) -> Victims:
        """Give all that runs may have been."""
        return self.only(self.for_runs[0], self.for_runs[-1])

    def only(self, first: int, last: int) -> Victims:
        """Give some of them."""
        return Victims(keeper=self.all[-1], first=first, last=last)


class UserRange:
    """User ids that only this runner gives to runs."""

    def __init__(self, lock_dir: Path, base: int) -> None:
        self._descriptor, first = _lock_a_range(lock_dir, base)
        self.span = Span(first)
        try:
            _check_is_nobodys(self.span)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._killing = threading.Lock()
        # The longest unused one is taken next, so that a forgotten file of a run meets no other run for long.
        self._free = deque(self.span.for_runs)

    def take(self) -> int:
        """Give a user id that no run has."""
        if not self._free:
            raise JobError("No user id is free for this run.")
        return self._free.popleft()

    def give_back(self, uid: int) -> None:
        """Let the user id be used again, last of all."""
        self._free.append(uid)

    def kill(self, uid: int) -> bool:
        """Kill all processes of one user; whether that could be done. Blocking."""
        with self._killing:
            return kill_users(self.span.only(uid, uid))

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
    if os.fstat(descriptor).st_nlink == 0:  # removed since it was opened: what we locked means nothing to others
        os.close(descriptor)
        return None
    return descriptor


def _check_is_nobodys(span: Span) -> None:
    """Refuse ids that somebody has.

    SECURITY: everything that runs with these ids is killed, and what belongs to them is removed or falls to a job.
    """
    if whose := _whose(span):
        raise ConfigurationError(
            f"the user ids {span.all[0]} to {span.all[-1]} are not free: {whose}",
            hint="Set uid_base to a multiple of 64 with nothing of the host above it.",
        )


def _whose(span: Span) -> str | None:
    for path in SUBORDINATES:
        for name, first, count in _subordinates(path):
            if first < span.all.stop and span.all.start < first + count:
                return f"{path} gives {first} to {first + count - 1} to {name}"
    for number in span.all:
        with contextlib.suppress(KeyError):
            return f"{number} is the user {pwd.getpwuid(number).pw_name}"
        with contextlib.suppress(KeyError):
            return f"{number} is the group {grp.getgrgid(number).gr_name}"
    return None


def _subordinates(path: Path) -> Iterator[tuple[str, int, int]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    for line in lines:
        name, *numbers = line.split(":")
        if len(numbers) == 2 and all(number.strip().isdecimal() for number in numbers):  # noqa: PLR2004 -- first, count
            yield name, int(numbers[0]), int(numbers[1])


@contextlib.contextmanager
def abandoned(lock_dir: Path) -> Iterator[list[Span]]:
    """Hold the ranges that no runner has any more: one may have died and left something running.

    Left without an error, they are forgotten, so that the next start need not look at them again.
    """
    held: list[tuple[int, Path, Span]] = []
    try:
        for path in lock_dir.glob("*.lock"):
            if path.stem.isdecimal() and (descriptor := _try_to_lock(path)) is not None:
                held.append((descriptor, path, Span(int(path.stem))))  # noqa: PERF401 -- let go below whatever happens
        # Ids that have become somebody's since are theirs, and not ours to touch.
        yield [span for _, _, span in held if span.first > 0 and not _whose(span)]
        for _, path, _ in held:
            path.unlink(missing_ok=True)
    finally:
        for descriptor, _, _ in held:
            os.close(descriptor)
