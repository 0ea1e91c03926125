"""How long environments may live: env0's form `<n>-<M|w|d|h>`, such as `12-h`, `3-d`, `1-w` or `1-M`. All pure."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

_FORM = re.compile(r"([1-9][0-9]{0,3})-([Mwdh])", re.ASCII)
_UNITS = {"M": timedelta(days=30), "w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1)}
"""A month is 30 days here, so that a lifetime is the same whenever it begins."""

INHERIT = "inherit"
"""What a project says that takes over what stands above it."""


def parse_lifetime(text: str) -> timedelta:
    """Give the lifetime that a text says. Raises `ValueError` with a sentence."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("must be a number from 1 to 9999, a dash, and M, w, d or h: 12-h, 3-d, 1-w, 1-M")
    return int(found[1]) * _UNITS[found[2]]


def shortest(lifetimes: Iterable[timedelta | None]) -> timedelta | None:
    """Give the shortest of several limits; None, which limits nothing, only if there is no other."""
    return min((item for item in lifetimes if item is not None), default=None)


def exceeds(default: str | None, longest: str | None) -> bool:
    """Whether a default lifetime is longer than the longest one, where both are said."""
    if default in {None, INHERIT} or longest in {None, INHERIT}:
        return False
    return parse_lifetime(str(default)) > parse_lifetime(str(longest))


def _checked(value: object) -> object:
    if isinstance(value, str):
        if not value:
            return None  # how programs in Go may spell "none"
        parse_lifetime(value)
    return value


def _checked_or_inherited(value: object) -> object:
    return value if value == INHERIT else _checked(value)


_DESCRIPTION = "`<n>-<M|w|d|h>`, or null for no limit"
_Form = Annotated[str, Field(max_length=max(len("9999-M"), len(INHERIT)))]
Lifetime = Annotated[_Form | None, BeforeValidator(_checked), Field(description=_DESCRIPTION)]
InheritedLifetime = Annotated[
    _Form | None, BeforeValidator(_checked_or_inherited), Field(description=f"{_DESCRIPTION} of its own, or `inherit`")
]
