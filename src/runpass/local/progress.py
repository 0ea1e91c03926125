"""The progress display of `demo` and `up`: what is going on, what it did, how long it took."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from rich.console import Console
from rich.text import Text

from runpass.clock import SYSTEM_CLOCK


class Progress:
    """Steps with their times. Quiet, it only remembers them."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._quiet = quiet
        self.steps: list[dict[str, Any]] = []

    @property
    def is_terminal(self) -> bool:
        """Whether a person is looking."""
        return self._console.file.isatty()

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[Callable[[str], None]]:
        """Time a step; the block is handed a function that takes what the step did, in a few words."""
        said: list[str] = []
        started = SYSTEM_CLOCK.monotonic()
        ok = False
        try:
            yield said.append
            ok = True
        finally:
            seconds = SYSTEM_CLOCK.monotonic() - started
            self.steps.append({"name": name, "seconds": round(seconds, 3)})
            self._show_step(what, seconds, said, ok=ok)

    def heading(self, text: str) -> None:
        """Print a heading."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def pair(self, name: str, text: str) -> None:
        """Print a name and what belongs to it."""
        self._console.print(Text.assemble((f"  {name:<20}", "cyan"), _printable(text)))

    def plain(self, text: str) -> None:
        """Print a line to copy."""
        self._console.print(Text(f"  {text}"))

    def untrusted(self, text: str) -> None:
        """Print what a job wrote, control characters shown instead of obeyed."""
        for line in text.splitlines():
            self._console.print(Text(f"  {_printable(line)}"))

    def problem(self, text: str) -> None:
        """Print what went wrong."""
        self._console.print(Text(f"✗ {_printable(text)}", style="red"))

    def good(self, text: str) -> None:
        """Print that all is well."""
        self._console.print()
        self._console.print(Text(f"✓ {text}", style="green"))

    def line(self, text: str) -> None:
        """Print one line exactly as it is, for programs."""
        self._console.file.write(text + "\n")
        self._console.file.flush()

    def until_interrupted(self, text: str) -> None:
        """Print a sentence and wait for Ctrl-C."""
        self._console.print(Text(text))
        try:
            Event().wait()
        except KeyboardInterrupt:
            self._console.print()

    def _show_step(self, what: str, seconds: float, said: list[str], *, ok: bool) -> None:
        if self._quiet:
            return
        mark = ("✓ ", "green") if ok else ("✗ ", "red")
        self._console.print(Text.assemble(mark, f"{what:<76}", (f"{seconds:6.2f} s", "dim")))
        for text in said:
            self._console.print(Text(f"    {_printable(text)}", style="dim"))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
