"""Names that are spelt almost like another one, for "did you mean". Pure, and bounded: others choose the names."""

import difflib
from collections.abc import Iterable
from typing import Final

from runpass.vault.errors import visible

MAX_KNOWN: Final = 2_000
MAX_NAME: Final = 255
MAX_FOUND: Final = 3


def nearest(wanted: str, known: Iterable[object], *, most: int = MAX_FOUND) -> list[str]:
    """Give the names most like `wanted`, the best first, safe to print; those that differ in case alone win."""
    if len(wanted) > MAX_NAME:
        return []
    names = sorted({item for item in known if isinstance(item, str) and len(item) <= MAX_NAME})[:MAX_KNOWN]
    same = [name for name in names if name.lower() == wanted.lower()]
    found = same[:most] or difflib.get_close_matches(wanted, names, n=most)
    return [visible(name, MAX_NAME) for name in found]
