"""Values that a job fetched by itself and wants masked: the file that `RUNPASS_MASK_FILE` names, read as it grows.

One value in each line, as it is, or as a JSON string for one of several lines. The job writes the line before it prints
the value; the runner looks at the file after it took bytes from the job and before it masks them, so a value that was
written before it was printed is masked.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from runpass.runner.cell import Owner
from runpass.runner.masking import Mask
from runpass.runner.named_values import MOST_BYTES, MOST_VALUES
from runpass.runner.secret_forms import is_maskable
from runpass.runner.workspace import MASK_NAME, is_plain_file_of
from runpass.secret import Secret

VARIABLE: Final = "RUNPASS_MASK_FILE"
MOST_TOLD: Final = 20
"""Lines that the log tells are not masked."""
_State = tuple[int, int, int, int]
Say = Callable[[str], Awaitable[None]]


class MaskFile:
    """The file of one run, in the directory `tmp`, which is closed with it."""

    def __init__(self, tmp: int, owner: Owner | None, mask: Mask, say: Say) -> None:
        self._tmp: int | None = tmp
        self._owner = owner
        self._mask = mask
        self._say = say
        self._last: _State | None = None
        self._lock = asyncio.Lock()
        self._told: set[str] = set()

    def close(self) -> None:
        """Look no more."""
        if self._tmp is not None:
            os.close(self._tmp)
            self._tmp = None

    async def look(self) -> None:
        """Mask what the file holds by now. Cheap where it did not change: one look at its size and time."""
        if self._state() == self._last and not self._lock.locked():
            return
        async with self._lock:
            state = self._state()
            if state != self._last:
                await self._take_in()
                self._last = state  # the one from before the reading: what came since is seen the next time

    def _state(self) -> _State | None:
        if self._tmp is None:
            return None
        try:
            found = os.stat(MASK_NAME, dir_fd=self._tmp, follow_symlinks=False)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    async def _take_in(self) -> None:
        content = self._read()
        if content is None:
            await self._tell("not a plain file of the run's own: nothing in it is masked")
            return
        if len(content) > MOST_BYTES:
            await self._tell(f"larger than {MOST_BYTES} bytes: what follows them is not masked")
        values, unmasked = _values(content[:MOST_BYTES])
        if not await self._mask.named.take_in({f"{VARIABLE}, line {line}": value for value, line in values.items()}):
            await self._tell(f"naming more than {MOST_VALUES} values or {MOST_BYTES} bytes: the rest is not masked")
        for line in unmasked:
            await self._tell(f"not masked in its line {line}: too short, too common, or not UTF-8")

    def _read(self) -> bytes | None:
        """Give the file's beginning; nothing if it is not one of the run's own.

        SECURITY: the run decides what stands there: no link is followed, and nothing is opened that makes us wait.
        """
        if self._tmp is None:
            return b""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
            file = os.open(MASK_NAME, flags, dir_fd=self._tmp)
        except FileNotFoundError:
            return b""
        except OSError:
            return None
        with os.fdopen(file, "rb") as opened:
            return opened.read(MOST_BYTES + 1) if is_plain_file_of(os.fstat(file), self._owner) else None

    async def _tell(self, what: str) -> None:
        if what not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(what)
            await self._say(f"WARNING: {VARIABLE} is {what}.")


def _values(content: bytes) -> tuple[dict[Secret, int], list[int]]:
    """Give the values with the lines they stand in, and the lines whose values are not masked.

    The last line counts before its newline has come, but then nothing is said of it: more of it may follow.
    """
    values: dict[Secret, int] = {}
    unmasked: list[int] = []
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        found = [value for value in _spelled(line) if is_maskable(value)]
        for value in found:
            values.setdefault(Secret(value), number)
        if line.strip() and not found and number < len(lines):
            unmasked.append(number)
    return values, unmasked


def _spelled(line: bytes) -> Iterator[str]:
    """Give what a line says: itself, and if it is a JSON string, the text of that."""
    try:
        text = line.decode().removesuffix("\r")
        yield text
        if text.startswith('"'):
            inner = json.loads(text)
            if isinstance(inner, str):
                inner.encode()  # half of a surrogate pair, which JSON can spell and no output can hold
                yield inner
    except (ValueError, RecursionError):
        return
