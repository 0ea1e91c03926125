"""Pages of long lists: which part is shown, and the links to its neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

from runpass.errors import InvalidInput

PAGE: Final = 50
"""Rows of a page."""
_FURTHEST: Final = 1_000_000

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Paging:
    """Where a page of a list stands in it."""

    first: int
    last: int
    before: str
    """The path of the page before; empty for the first."""
    after: str


def offset_of(request: Request) -> int:
    """Give how many rows stand before this page. Raises `InvalidInput`."""
    text = request.query_params.get("offset", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_FURTHEST)) and int(text) <= _FURTHEST):
        raise InvalidInput.of("offset", f"must be a number up to {_FURTHEST}")
    return int(text)


def paged(request: Request, found: Sequence[Row], filters: Mapping[str, str] | None = None) -> tuple[list[Row], Paging]:
    """Give the rows of a page and its neighbours, from what was asked for with `PAGE + 1` rows after `offset_of`."""
    offset, kept = offset_of(request), {key: value for key, value in (filters or {}).items() if value}
    rows = list(found[:PAGE])

    def path(to: int) -> str:
        query = urlencode({**kept, **({"offset": to} if to else {})})
        return f"{request.url.path}?{query}" if query else request.url.path

    before = path(max(0, offset - PAGE)) if offset else ""
    after = path(offset + PAGE) if len(found) > PAGE else ""
    return rows, Paging(offset + 1 if rows else offset, offset + len(rows), before, after)
