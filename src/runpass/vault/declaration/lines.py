"""Where in a TOML text each key is defined: `tomllib` gives the values and not the lines. Pure."""

import tomllib
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

Path = tuple[str | int, ...]

MAX_LINES: Final = 2_000
DEEPEST: Final = 8
"""How deep a key is looked for; no declaration goes further down."""
_LONG_TEXTS: Final = ('"""', "'''")


def lines_of(text: str) -> dict[Path, int]:
    """Give the line on which each key of a valid TOML text begins, counted from 1; keys by their path from the top.

    A statement is the shortest run of lines that is TOML on its own: it ends at a line's end or inside of a value.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for number, _, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _header(parsed)
            _note(found, table, number)
        else:
            for path in _paths(parsed):
                _note(found, table + path, number)
    return found


def broken_line(text: str) -> int:
    """Give the line on which a text stops to be TOML: for what `tomllib` says of it at the text's end alone."""
    lines = text.split("\n")
    ends = [0, *(end for _, end, _ in _statements(text))]

    def is_broken(number: int) -> bool:
        try:
            tomllib.loads("\n".join(lines[: ends[number]]))
        except tomllib.TOMLDecodeError:
            return True
        return False

    good = bisect_left(range(len(ends)), x=True, key=is_broken) - 1
    behind = range(ends[good] + 1, len(lines) + 1)
    return next((number for number in behind if _says_something(lines[number - 1])), len(lines))


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def line_for(lines: dict[Path, int], path: Path) -> int | None:
    """Give the line of a key, or of the nearest thing around it that has one."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in lines:
            return lines[path[:depth]]
    return None


def _statements(text: str) -> Iterator[tuple[int, int, str]]:
    """Give each whole statement: its first line, its last one, and its text."""
    start, gathered, ending = 1, "", ""
    for number, line in enumerate(text.split("\n"), start=1):
        if not gathered:
            ending = next((quotes for quotes in _LONG_TEXTS if quotes in line), "")
        gathered += f"{line}\n"
        if ending not in line:
            continue  # inside of a long text: parsing at each line of it would take long
        try:
            is_something = bool(tomllib.loads(gathered))
        except tomllib.TOMLDecodeError:
            continue  # a value goes on
        if is_something:
            yield start, number, gathered
        start, gathered = number + 1, ""


def _header(parsed: dict[str, Any]) -> Path:
    path: list[str] = []
    inner: Any = parsed
    while inner and len(path) < DEEPEST:
        inner = inner[0] if isinstance(inner, list) else inner
        if not inner:
            break
        ((name, inner),) = inner.items()
        path.append(name)
    return tuple(path)


def _paths(parsed: Any, depth: int = DEEPEST) -> Iterator[Path]:
    if isinstance(parsed, dict) and depth:
        for name, value in parsed.items():
            yield (name,)
            for rest in _paths(value, depth - 1):
                yield (name, *rest)


def _note(found: dict[Path, int], path: Path, number: int) -> None:
    for depth in range(1, len(path) + 1):
        found.setdefault(path[:depth], number)
