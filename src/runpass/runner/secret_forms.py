"""What is looked for on account of one secret: its text, lines and JSON leaves, and their spellings. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from runpass.runner.common_values import is_common
from runpass.runner.secret_encodings import SHORTEST_LINE, encodings
from runpass.secret import Secret

SHORTEST: Final = SHORTEST_LINE
"""Shorter values are not masked: `true` or `1234` would tear holes into everything."""
_HALF: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which JSON can spell and no output can hold."""
MOST_ENCODED: Final = 200
"""Leaves of one JSON value that are looked for in other spellings too; of further ones, the text alone is."""


@dataclass(slots=True)
class Room:
    """How many bytes of spellings may still be looked for."""

    left: int
    is_exhausted: bool = False

    def takes(self, form: bytes) -> bool:
        """Whether there is room for one more, which it has then."""
        if len(form) > self.left:
            self.is_exhausted = True
            return False
        self.left -= len(form)
        return True


def is_maskable(value: str) -> bool:
    """Whether the value is long enough to be masked, and no word that stands in many logs."""
    stripped = value.strip()
    return len(stripped) >= SHORTEST and not is_common(stripped)


def unmasked(values: Mapping[str, Secret]) -> list[str]:
    """Give the sentences that say, by their names, which of these secrets are not masked."""
    plain = {name: value.reveal().strip() for name, value in values.items() if not is_maskable(value.reveal())}
    short = sorted(name for name, value in plain.items() if 0 < len(value) < SHORTEST)
    common = sorted(name for name, value in plain.items() if len(value) >= SHORTEST)
    found = [f"Too short to be masked in this log: {', '.join(short)}."] if short else []
    return found + ([f"Too common a value to be masked in this log: {', '.join(common)}."] if common else [])


def forms(value: str, room: Room | None = None) -> set[bytes]:
    """Give everything that is masked on account of a value; nothing if it is too short or too common.

    Of spellings only what there is `room` for: the text, its lines and its leaves are masked in any case.
    """
    found: set[bytes] = set()
    for number, piece in enumerate(_pieces(value)):
        found.update(line.encode(errors="surrogateescape") for line in _texts(piece))
        if number < MOST_ENCODED:
            spelled = (form for form in encodings(piece) if form not in found)
            found.update(spelled if room is None else takewhile(room.takes, spelled))
    return {form for form in found if len(form) >= SHORTEST}


def _pieces(value: str) -> dict[str, None]:
    """Give the value with and without the space around it, and the leaves of the JSON that it may be."""
    wholes = [value, value.strip()] if is_maskable(value) else []
    leaves = (leaf.strip() for leaf in _leaves(value))
    return dict.fromkeys([*wholes, *(leaf for leaf in leaves if is_maskable(leaf))])


def _texts(piece: str) -> Iterator[str]:
    """Give a piece and each of its lines: logs show them with something in front."""
    yield piece
    for line in piece.splitlines():
        if is_maskable(line):
            yield line.strip()


def _leaves(value: str) -> Iterator[str]:
    """Give the texts in a JSON object or list, and its long numbers as they are written there; never its keys."""
    if not value.lstrip().startswith(("{", "[", '"')):
        return
    try:
        found = json.loads(value, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return
    waiting: list[Any] = [found]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if _HALF.search(item) is None:
                yield item
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
