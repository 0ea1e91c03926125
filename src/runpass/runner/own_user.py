"""Isolation by user: started as root, the runner gives every run a user and group that nothing else has.

Runners of one host agree on ranges of 64 user ids; what still runs as one of its users when a range was got was left by
a runner that is gone.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from runpass.errors import ConfigurationError
from runpass.protocol.registration import Isolation
from runpass.runner import keyrings, leftovers
from runpass.runner.cell import Launch, Owner
from runpass.runner.cgroup import Cgroup, end_left, own_directory
from runpass.runner.cgroup_limits import hand_down
from runpass.runner.gate import counted
from runpass.runner.killing import kill_users
from runpass.runner.limits import Limits
from runpass.runner.processes import ProcessInfo, end_all, group_members, of_users
from runpass.runner.user_range import RANGE_SIZE, UserRange, abandoned

log = structlog.get_logger()
KILL_ATTEMPTS: Final = 3
"""A run that used up the process ids leaves none for the helper, until some of its own were killed."""


class OwnUserIsolator:
    """Every run is a user of its own."""

    kind = Isolation.UID

    def __init__(self, lock_dir: Path, base: int, limits: Limits, why: str) -> None:
        self.why = why
        self._lock_dir = lock_dir
        self._range = UserRange(lock_dir, base)
        self._limits = limits
        self._cgroups = own_directory()
        handed = frozenset[str]() if self._cgroups is None else hand_down(self._cgroups)
        log.info("control_groups", place=str(self._cgroups or ""), limited_by_the_kernel=sorted(handed))

    def limit(self, capacity: int) -> int:
        """Allow fewer runs than there are users."""
        return min(capacity, RANGE_SIZE - 4)

    def reclaim(self, work_dir: Path) -> None:  # noqa: ARG002 -- users say whose a process is, wherever it stands
        """End every process of users that are ours or nobody's, and remove what they left in shared directories."""
        with abandoned(self._lock_dir) as left:
            spans = [self._range.span, *left]
            uids = frozenset(uid for span in spans for uid in span.all)
            killed = [kill_users(span.victims) for span in spans]
            stubborn = end_all(lambda: of_users(uids))
            if stubborn:
                raise ConfigurationError(f"processes of an earlier runner would not die: {stubborn}")
            if not all(killed):
                raise ConfigurationError("the users that runs get cannot be cleared of processes of an earlier runner")
            end_left(self._cgroups, uids)
            leftovers.sweep(uids)
            keyrings.sweep(uids)

    def cell(self, run: str) -> "OwnUserCell":
        """Give the run a user."""

        def group(uid: int) -> Cgroup | None:
            return Cgroup.make(self._cgroups, uid, run, self._limits)

        return OwnUserCell(self._range, group, self._limits.processes)

    def close(self) -> None:
        """Let another runner have the users."""
        self._range.close()


class OwnUserCell:
    """One run's user."""

    def __init__(self, users: UserRange, group: Callable[[int], Cgroup | None], processes: int) -> None:
        self._users = users
        self._make_group = group
        self._processes = processes
        self._cgroup: Cgroup | None = None  # until there is something to put into it
        self._uid = users.take()
        self._is_clean = True

    @property
    def owner(self) -> Owner:
        """Whose the workspace must be."""
        return Owner(self._uid, self._uid)

    def launch(self, argv: Sequence[str], home: Path) -> Launch:  # noqa: ARG002 -- file modes keep runs apart
        """Start it as the run's user."""
        if self._is_clean:
            self._is_clean = False
            self._cgroup = self._make_group(self._uid)
        return Launch(counted(argv, self._processes), self.owner)

    def started(self, pid: int) -> None:
        """Put it into the run's control group."""
        if self._cgroup is not None:
            self._cgroup.take_in(pid)

    def to_terminate(self, leader: int) -> list[ProcessInfo]:
        """Give the members of the process group."""
        return group_members(leader)

    def members(self) -> list[ProcessInfo]:
        """Give the processes of the run's user."""
        return of_users(frozenset({self._uid}))

    def exceeded(self) -> str | None:
        """Ask the control group."""
        return None if self._cgroup is None else self._cgroup.exceeded()

    def end(self) -> list[int]:
        """Kill the control group and then, whatever it held, every process of the run's user."""
        self._is_clean = False
        if self._cgroup is not None:
            self._cgroup.end()
        # SECURITY: a process leaves its group and session as it likes (setsid, double fork), never its user. The helper
        # is what leaves none; the sweep says so, and makes room for the helper if there was none.
        killed, stubborn = False, list[int]()
        for _ in range(KILL_ATTEMPTS):
            killed = self._users.kill(self._uid)
            stubborn = end_all(self.members)
            if killed:
                break
        if not killed:
            log.error("user_not_killed", uid=self._uid)
        elif not stubborn:
            leftovers.sweep(frozenset({self._uid}))
            keyrings.sweep(frozenset({self._uid}))
            self._is_clean = True
        return stubborn

    def release(self) -> None:
        """Give the user back; one that still has processes is never used again."""
        if self._is_clean:
            self._users.give_back(self._uid)
        else:
            log.error("uid_withdrawn", uid=self._uid)
