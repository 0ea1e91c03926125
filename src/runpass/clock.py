"""The only place that asks the time. A `Clock` is handed in everywhere else, so tests can move it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, twice: on the wall, and for measuring."""

    def now(self) -> datetime:
        """Give the wall-clock time as an aware datetime in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds since an arbitrary point, never going backwards."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the wall-clock time in UTC."""
        return datetime.now(UTC)  # noqa: TID251 -- this is the one place

    def monotonic(self) -> float:
        """Give seconds that never go backwards."""
        return time.monotonic()


SYSTEM_CLOCK: Clock = SystemClock()


def unix_seconds(moment: datetime) -> int:
    """Give a NumericDate (RFC 7519, section 2) in whole seconds, rounded down."""
    return int(moment.timestamp())
