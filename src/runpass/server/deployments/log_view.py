"""A deployment's log as a page shows it: a window of lines for each step, links to lines, and to what lies around."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import urlencode

from runpass.ids import DeploymentId
from runpass.protocol.reports import ENDED, LogEvent, StepStatus
from runpass.server.db.engine import Transaction
from runpass.server.deployments.log_lines import Piece, pieces_of
from runpass.server.deployments.log_reading import last_numbers, lines_before, lines_with
from runpass.server.deployments.log_store import StoredStep

WINDOW: Final = 1_000
"""Lines of one step on a page."""
MOST_LINES: Final = 3_000
"""Lines on a page with all steps; the last steps come first to their share."""
MOST_FOUND: Final = 200
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]")
_GOES_WRONG: Final = frozenset({StepStatus.FAIL, StepStatus.TIMEOUT})
_WORDS: Final = {
    StepStatus.NOT_STARTED: "Not started",
    StepStatus.IN_PROGRESS: "Going on",
    StepStatus.WAITING_FOR_USER: "Waits for an approval",
    StepStatus.SUCCESS: "Succeeded",
    StepStatus.FAIL: "Failed",
    StepStatus.TIMEOUT: "Took too long",
    StepStatus.CANCELLED: "Cancelled",
    StepStatus.SKIPPED: "Skipped",
    StepStatus.WARNING: "Succeeded with a warning",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `href` leads to it from anywhere, `anchor` is its id on a page."""

    number: int
    anchor: str
    href: str
    at: datetime
    level: str
    pieces: Sequence[Piece]
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step with the window of its log that a page has."""

    name: str
    anchor: str
    words: str
    is_wrong: bool
    started_at: datetime | None
    completed_at: datetime | None
    lasted: str
    path: str
    lines: Sequence[Line] = ()
    earlier: str = ""
    later: str = ""
    last: int = 0
    """The number of the last line that the step has."""
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """A deployment's log, and where the console has its page."""

    deployment_id: DeploymentId
    path: str


@dataclass(frozen=True, slots=True)
class Window:
    """Which lines of which step somebody asks for: those before a number; 0 for the last ones."""

    step: str
    before: int = 0


def window_with(step: str, line: int) -> Window:
    """Give the window that a line is in."""
    return Window(step, (max(line, 1) - 1) // WINDOW * WINDOW + WINDOW + 1)


def anchor_of(step: str) -> str:
    """Give the id of a step on a page. Two names may have the same one; a link to a line names the step besides."""
    return _OTHER.sub("-", step) or "-"


def line_of(path: str, event: LogEvent) -> Line:
    """Give a line of the log of the deployment at this path of the console."""
    step, asked = _spelt(event.step)
    anchor = f"{step}-L{event.number}"
    href = f"{path}?{asked}&line={event.number}#{anchor}"
    return Line(event.number, anchor, href, event.at, event.level.value, pieces_of(event.message), event.step)


@lru_cache(maxsize=256)
def _spelt(step: str) -> tuple[str, str]:
    """Give a step as a part of an id and as a query: once, not for each of its lines."""
    return anchor_of(step), urlencode({"step": step})


def step_view(path: str, step: StoredStep, last: int = 0) -> StepView:
    """Give a step without its lines."""
    return StepView(
        name=step.name,
        anchor=anchor_of(step.name),
        words=_WORDS[step.status],
        is_wrong=step.status in _GOES_WRONG,
        started_at=step.started_at,
        completed_at=step.completed_at,
        lasted=lasted(step.started_at, step.completed_at),
        path=f"{path}?{urlencode({'step': step.name})}#{anchor_of(step.name)}",
        last=last,
    )


def log_of(tx: Transaction, log: Log, steps: Sequence[StoredStep], wanted: Window | None) -> list[StepView]:
    """Give the steps with their windows: of the step that is wanted, or the last lines of all as far as a page goes."""
    last = last_numbers(tx, log.deployment_id)

    def view_of(step: StoredStep) -> StepView:
        return step_view(log.path, step, last.get(step.name, 0))

    if wanted is not None:
        chosen = [step for step in steps if step.name == wanted.step]
        return [_with_lines(tx, log, view_of(step), wanted.before, WINDOW) for step in chosen]
    found, room = list[StepView](), MOST_LINES
    for step in reversed(steps):
        view = _with_lines(tx, log, view_of(step), 0, min(room, WINDOW))
        room -= len(view.lines)
        is_open = step.status not in ENDED or step.status in _GOES_WRONG or step is steps[-1]
        found.append(replace(view, is_open=is_open))
    return found[::-1]


def found_lines(tx: Transaction, log: Log, text: str) -> tuple[list[Line], bool]:
    """Give the first lines that hold a text, and whether these are all."""
    events = lines_with(tx, log.deployment_id, text, MOST_FOUND + 1)
    return [line_of(log.path, event) for event in events[:MOST_FOUND]], len(events) <= MOST_FOUND


def lasted(begin: datetime | None, end: datetime | None) -> str:
    """Say how long something lasted; empty while nobody knows."""
    return "" if begin is None or end is None else duration(end - begin)


def duration(span: timedelta) -> str:
    """Say a span in its two largest units."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:  # noqa: PLR2004 -- an hour
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def read_so_far(views: Sequence[StepView]) -> Mapping[str, int]:
    """Give the last line of each step that a page has: what came since is news for it."""
    return {view.name: view.lines[-1].number if view.lines else view.last for view in views}


def _with_lines(tx: Transaction, log: Log, view: StepView, before: int, size: int) -> StepView:
    """Give a step with `size` lines at most: those below the number `before`, or its last ones for 0."""
    end = min(before, view.last + 1) if before else view.last + 1
    events = lines_before(tx, log.deployment_id, view.name, end, size) if size and view.last else []
    lines = [line_of(log.path, event) for event in events]
    first = lines[0].number if lines else end
    earlier = _page(log.path, view, first) if first > 1 else ""
    later = _page(log.path, view, min(end + WINDOW, view.last + 1)) if end <= view.last else ""
    return replace(view, lines=lines, earlier=earlier, later=later, is_open=True)


def _page(path: str, view: StepView, before: int) -> str:
    return f"{path}?{urlencode({'step': view.name, 'before': before})}#{view.anchor}"
