"""The seam of isolation, and so of what executes a run: all that the rest of the runner knows of it.

An `Isolator` is made once per runner, a `Cell` once per run. Another way to execute runs is another pair of them, a
value of `Isolation` and a case in `isolation.open_isolation`. What a pair promises:

- **Order.** `reclaim` comes before the first `cell`. In a cell: any number of times `launch`, then `started` with the
  process that came of it; then `end`, once, unless nothing was to be launched; then the workspace is removed and
  `release` called. Nothing of the run is alive after `end`, but for what `end` gives back.
- **Waiting.** No call is async and none is cancelled: those that may block are called in threads, and the run waits for
  them. `members`, `exceeded` and `to_terminate` may be called from another thread than `started`, at any time between
  the first `launch` and the return of `end`. Cells of one isolator are used at the same time.
- **Ending.** A run that must end hears SIGTERM through `to_terminate` first. `end` is for what is left, and believes
  nothing that a process says of itself: not its group, its session, its parent or its name.
- **Keeping apart.** A program that was launched reads neither environment, memory nor files of another cell, of the
  runner or of anybody else who did not open them to everybody, and signals none of them. `tests/hostile_run.py` tries.
- **Limits.** `launch` adds a limit of processes where the kernel counts them for this run alone. All other limits are
  set by the caller (`gate`), or are looked after with `members` and `exceeded` (`watch`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runpass.protocol.registration import Isolation
from runpass.runner.processes import ProcessInfo


@dataclass(frozen=True, slots=True)
class Owner:
    """The user and group that a run's files and processes belong to."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Launch:
    """How a program of the run is started: its arguments, and as whom if not as the runner's own user."""

    argv: tuple[str, ...]
    owner: Owner | None = None


class Cell(Protocol):
    """Where one run lives."""

    @property
    def owner(self) -> Owner | None:
        """Whose the workspace must be; nothing for the runner's own user."""
        ...

    def launch(self, argv: Sequence[str], home: Path) -> Launch:
        """Say how to start a program that sees the run's directory `home` and none of another run."""
        ...

    def started(self, pid: int) -> None:
        """Take note of a process that waits to become the program. May block for some milliseconds.

        The program is let go on once this has returned, so all that it will start is known to the cell.
        """
        ...

    def members(self) -> list[ProcessInfo]:
        """Give every process of the run, however it hid, as far as it is known from outside."""
        ...

    def exceeded(self) -> str | None:
        """Give the sentence of a limit that the kernel held the run to, if it had to."""
        ...

    def to_terminate(self, leader: int) -> list[ProcessInfo]:
        """Give the living processes that should hear SIGTERM, of the process group that `leader` was started as."""
        ...

    def end(self) -> list[int]:
        """End every process of the run, however it hid, and give those that would not die. May block for seconds."""
        ...

    def release(self) -> None:
        """Give the cell back once nothing of the run is left."""
        ...


class Isolator(Protocol):
    """One way to keep runs apart."""

    kind: Isolation
    why: str
    """The sentence that says why this one was chosen."""

    def limit(self, capacity: int) -> int:
        """Give how many runs may go on at once if so many were asked for."""
        ...

    def reclaim(self, work_dir: Path) -> None:
        """End what an earlier runner of this place left running. May block for seconds."""
        ...

    def cell(self, run: str) -> Cell:
        """Give a cell to this run."""
        ...

    def close(self) -> None:
        """Give back what was held for the runner's life."""
        ...
