"""Regular expressions that users give: compiled and run by RE2, in time linear to the text.

SECURITY: Python's own engine would let `(a+)+$` and a short text keep a thread busy for years.
"""

from typing import Annotated, Any

import re2
from pydantic import AfterValidator

from runpass.server.http.wire import ShortText

_MOST_MEMORY = 1 << 20


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise ValueError("must be a regular expression (RE2 syntax: no backreferences, no look-around)") from None


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text fits the pattern. Raises `ValueError` for one that is none; never repeats it."""
    return _compiled(pattern).fullmatch(text) is not None


def _pattern(value: str) -> str:
    if value:
        _compiled(value)
    return value


Pattern = Annotated[ShortText, AfterValidator(_pattern)]
"""A field that holds a regular expression; empty means none."""
