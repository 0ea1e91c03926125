"""What commands print: JSON for programs, tables and pairs for people. Everything untrusted goes through `terminal`."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

from runpass.cli.terminal import one_line

_WIDE = 100_000
"""Columns where nobody looks: nothing is wrapped or cut in a pipe."""


def print_json(value: object) -> None:
    """Print one line of JSON in ASCII: what a name holds cannot reach the terminal."""
    typer.echo(json.dumps(value))


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print a table; `columns` pairs each heading with the key of its cell."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _WIDE)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading, key in columns.items():
        is_id = key.lower().endswith("id")  # an id that is broken over two lines cannot be copied
        table.add_column(heading, overflow="ignore" if is_id else "fold", no_wrap=is_id)
    for row in rows:
        table.add_row(*(Text(cell(row.get(key))) for key in columns.values()))
    console.print(table)


def print_pairs(pairs: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> None:
    """Print a name and a value on each line."""
    items = list(pairs.items()) if isinstance(pairs, Mapping) else list(pairs)
    width = max((len(name) for name, _ in items), default=0)
    for name, value in items:
        typer.echo(f"{name:<{width}}  {cell(value)}".rstrip())


def say(text: str) -> None:
    """Print a sentence for the person at the terminal, on standard error: it is not the command's result."""
    typer.echo(one_line(text), err=True)


def cell(value: object) -> str:
    """Give a value of an answer as one line of safe text."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(cell(item) for item in value)
        case _:
            return one_line(str(value))
