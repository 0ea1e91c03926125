"""The life of an issuer's keys as a picture: which bars, how long, and where now is. Pure.

Lengths are in units of the picture, `WIDTH` of them from its first to its last moment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runpass.server.issuer.keys import KeyRecord, KeyState
from runpass.server.issuer.rotation import Policy, needed_until, next_rotation

WIDTH: Final = 960
ROW: Final = 44
SHOWN_AFTER_THE_END: Final = timedelta(days=30)
"""How long a key that is gone is still shown."""
MOST: Final = 20
_LONGEST: Final = timedelta(days=60)
_MARGIN: Final = timedelta(hours=1)
_LEAST: Final = 3.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A time of a key's life: `published`, `signs`, `kept` or `planned`."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """A key with its bars."""

    key: KeyRecord
    y: int
    bars: tuple[Bar, ...]
    ends_at: datetime | None
    """When it is not published any more, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture."""

    rows: tuple[Row, ...]
    begins_at: datetime
    ends_at: datetime
    now_x: float
    next_at: datetime | None
    """When the next key signs at the earliest; None: when somebody asks for it."""
    next_x: float | None
    width: int
    height: int


def timeline(keys: Sequence[KeyRecord], now: datetime, policy: Policy) -> Timeline:
    """Give the picture of the keys of one issuer that are not gone, and of those that went lately."""
    recent = [key for key in keys if key.gone_at is None or key.gone_at > now - SHOWN_AFTER_THE_END][-MOST:]
    planned = next_rotation(recent, policy)
    planned = None if planned is None else max(planned, now)
    spans = [(key, tuple(_spans(key, now, planned, policy))) for key in recent]
    moments = [now, *(at for _, found in spans for _, *both in found for at in both)]
    begins = max(min(moments), now - _LONGEST) - _MARGIN
    ends = min(max(moments), now + _LONGEST) + _MARGIN

    def place(at: datetime) -> float:
        return round(WIDTH * ((min(max(at, begins), ends) - begins) / (ends - begins)), 1)

    rows = tuple(
        Row(
            key,
            index * ROW,
            tuple(
                Bar(kind, place(start), max(_LEAST, round(place(end) - place(start), 1))) for kind, start, end in found
            ),
            _ends_at(key, policy),
        )
        for index, (key, found) in enumerate(spans)
    )
    return Timeline(
        rows=rows,
        begins_at=begins,
        ends_at=ends,
        now_x=place(now),
        next_at=planned,
        next_x=None if planned is None or planned > ends else place(planned),
        width=WIDTH,
        height=max(1, len(rows)) * ROW,
    )


def _spans(
    key: KeyRecord, now: datetime, planned: datetime | None, policy: Policy
) -> Iterator[tuple[str, datetime, datetime]]:
    over = key.gone_at or now
    published, signs, retired = key.published_at, key.activated_at, key.retired_at
    if published is not None and (signs is None or signs > published):
        yield "published", published, signs or over
    if signs is not None:
        yield "signs", signs, retired or over
    if retired is not None:
        yield "kept", retired, _ends_at(key, policy) or over
    if key.state is KeyState.ACTIVE and planned is not None and planned > now:
        yield "planned", now, planned


def _ends_at(key: KeyRecord, policy: Policy) -> datetime | None:
    if key.gone_at is not None:
        return key.gone_at
    return needed_until(key, policy) if key.state is KeyState.RETIRING else None
