"""Optimistic concurrency: entity tags and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).

A thing's tag follows from the moment it was last changed, which `db.changing` makes later with every change. Clients of
env0 send no `If-Match`; they get the last word, but never on top of a change that happened while theirs was going on.
"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Header
from starlette.responses import Response

from runpass.errors import PreconditionFailed

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=1024, description="The `ETag` of what was read; 412 if it has changed since."),
]


def entity_tag(updated_at: datetime) -> str:
    """Give the strong entity tag of a thing that was last changed at this moment."""
    at = updated_at.astimezone(UTC)
    return f'"{int(at.timestamp()) * 1_000_000 + at.microsecond:x}"'


def tell_tag(response: Response, updated_at: datetime) -> None:
    """Put the entity tag into an answer."""
    response.headers["ETag"] = entity_tag(updated_at)


def check_unchanged(if_match: str | None, updated_at: datetime) -> None:
    """Raise `PreconditionFailed` unless the caller's `If-Match` allows changing what was last changed then."""
    if if_match is None:
        return
    tags = {part.strip() for part in if_match.split(",")}
    if "*" not in tags and entity_tag(updated_at) not in tags:
        raise PreconditionFailed("this has changed since it was read", hint="read it again and send its new ETag")
