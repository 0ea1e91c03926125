"""Places in a JSON value: looking at all of them, and putting something else at one."""

import copy
from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Give every leaf of a JSON value with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*place, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from leaves(item, (*place, position))
    elif value is not None:
        yield place, value


def replaced(value: Any, place: Place, by: Any) -> Any:
    """Give a copy of a JSON value with another one at this place."""
    if not place:
        return by
    copied = copy.deepcopy(value)
    inner = copied
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = by
    return copied
