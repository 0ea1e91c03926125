"""How long an environment lives: what a request asks for, held against what the policies allow. All pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Self

from pydantic import model_validator

from runpass.errors import InvalidInput
from runpass.server.http.wire import ApiModel, ShortText, rfc3339
from runpass.server.tenancy.policies import Policy

MOST_HOURS: Final = 876_000
"""A hundred years: what is longer is `INFINITE`."""

ASKED: Final = "lifespan_asked"
"""Under which name an environment's settings keep the words of a date."""
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


class Ttl(ApiModel):
    """Request: when an environment is to be destroyed (env0's `ttl`)."""

    type: Literal["INFINITE", "HOURS", "DATE"]
    value: ShortText | None = None
    """`HOURS`: a whole number as text. `DATE`: ISO 8601; without an offset it is UTC."""

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        match self.type:
            case "INFINITE":
                pass
            case "HOURS":
                _hours(self.value)
            case "DATE":
                _date(self.value)
        return self

    def end(self, now: datetime) -> datetime | None:
        """Give when that is; None for never."""
        match self.type:
            case "INFINITE":
                return None
            case "HOURS":
                return now + _hours(self.value)
            case "DATE":
                return _date(self.value)


def as_asked(ttl: Ttl | None) -> dict[str, str]:
    """Give what is kept of a request's words beside their moment: env0's clients compare them with the answer."""
    return {ASKED: ttl.value or ""} if ttl is not None and ttl.type == "DATE" else {}


def shown(end: datetime | None, settings: Mapping[str, Any]) -> str | None:
    """Give a lifespan's end as it was asked for, if it was asked for as a date; else as any other moment."""
    if end is None:
        return None
    asked = settings.get(ASKED)
    return asked if asked and _date(asked) == end else rfc3339(end)


def lifespan_end(ttl: Ttl | None, policy: Policy, now: datetime, *, where: str = "ttl.") -> datetime | None:
    """Give when an environment's life ends that begins now, or is decided now; None for never.

    Without a `ttl` the policy's default counts. `where` is what the caller's fields are called before their names.
    Raises `InvalidInput` for what is past or longer than is allowed.
    """
    if ttl is None:
        return now + policy.default_ttl if policy.default_ttl is not None else None
    end = ttl.end(now)
    if end is not None and end <= now:
        raise InvalidInput.of(f"{where}value", "must be in the future")
    if outlives(end, policy, now):
        field = "type" if end is None else "value"
        raise InvalidInput.of(where + field, f"must be at most {longest(policy)}: the policy allows no longer one")
    return end


def outlives(end: datetime | None, policy: Policy, now: datetime) -> bool:
    """Whether a life that ends then is longer than the policy allows."""
    return policy.max_ttl is not None and (end is None or end > now + policy.max_ttl)


def longest(policy: Policy) -> str:
    """Give the longest lifespan as words."""
    hours = int((policy.max_ttl or timedelta.max).total_seconds() // 3600)
    return f"{hours} hours" if hours % 24 or hours == 24 else f"{hours // 24} days"  # noqa: PLR2004 -- of a day


def _hours(value: str | None) -> timedelta:
    if value is None or not (value.isascii() and value.isdigit()) or not 1 <= int(value[:9]) <= MOST_HOURS:
        raise ValueError(f"value must be a whole number of hours from 1 to {MOST_HOURS}, as text")
    return timedelta(hours=int(value[:9]))


def _date(value: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(value or "")
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("value must be a date and time as in ISO 8601") from None
    if aware > _LATEST:
        raise ValueError("value is too far away: say INFINITE")
    return aware
