"""How far somebody has read a deployment's log, as one word: the id of an event in the stream. Pure.

`12.0.7-9f86d081884c` names, for the first three steps that the deployment ever had, the last line that was read; behind
the dash is a digest of their names. Ids of steps grow, so later steps stand behind; should they ever not, the digest
does not fit and nothing is taken for read.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from runpass.protocol.reports import MAX_NUMBER
from runpass.server.deployments.log_store import StoredStep
from runpass.server.deployments.reporting import MOST_STEPS

_SHAPE: Final = re.compile(r"((?:[0-9]{1,10}(?:\.[0-9]{1,10})*)?)-([0-9a-f]{12})")
_LONGEST: Final = MOST_STEPS * 11 + 13


class UnknownPositionError(ValueError):
    """This is no position in this log: it has to be read from its beginning."""


def position(steps: Sequence[StoredStep], read: Mapping[str, int]) -> str:
    """Give the position of somebody who has read up to these lines."""
    names = _in_order(steps)
    return f"{'.'.join(str(read.get(name, 0)) for name in names)}-{_digest(names)}"


def read_at(steps: Sequence[StoredStep], text: str) -> Mapping[str, int]:
    """Give the last line that was read of each step. Raises `UnknownPositionError`."""
    found = _SHAPE.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise UnknownPositionError
    numbers = [min(int(part), MAX_NUMBER) for part in found[1].split(".")] if found[1] else []
    names = _in_order(steps)[: len(numbers)]
    if len(names) < len(numbers) or _digest(names) != found[2]:
        raise UnknownPositionError
    return dict(zip(names, numbers, strict=True))


def _in_order(steps: Sequence[StoredStep]) -> list[str]:
    return [step.name for step in sorted(steps, key=lambda step: step.id)]


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(names).encode(errors="replace")).hexdigest()[:12]
