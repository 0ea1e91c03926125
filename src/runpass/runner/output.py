"""A command's output: bytes as they come, masked, cut into lines, on their way to the reporter."""

import asyncio
import codecs
import os
from typing import Final, Self

from runpass.protocol.reports import MAX_MESSAGE, LogLevel
from runpass.runner.announced import COMMAND, HIDDEN, Announced, may_announce
from runpass.runner.masking import Mask
from runpass.runner.reporter import Reporter
from runpass.terminal_text import open_end, pieces, shown

CHUNK_BYTES: Final = 64 * 1024
PARTIAL_SECONDS: Final = 0.2
"""How long a line without an end waits for it before it is shown anyway."""


class Lines:
    """Turns masked bytes into lines that are safe to show, none longer than `MAX_MESSAGE`.

    Invalid UTF-8 and NUL (no database takes it) become the replacement character; what else could do more than be read
    is escaped (`terminal_text`). What comes out does not depend on how the bytes were cut on their way in, except for
    where a line that was taken before its end is cut.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial = ""
        self._hides = False
        self._goes_on = False
        """Whether a part of this line has been given already."""

    @property
    def has_partial(self) -> bool:
        """Whether a line has begun and not ended, and there is something of it to be taken."""
        return len(self._partial) > open_end(self._partial)

    def feed(self, data: bytes, *, final: bool = False) -> list[str]:
        """Give the lines that are complete now, or too long to wait for their end."""
        text = self._partial + self._decoder.decode(data, final).replace("\0", "\N{REPLACEMENT CHARACTER}")
        *ended, self._partial = text.split("\n")
        lines: list[str] = []
        for line in ended:
            if len(line) <= MAX_MESSAGE and not self._goes_on and line.isprintable():
                lines.append(line)  # nearly all lines, so this is quick
            else:
                self._end(self._long(line, lines), lines)
        self._partial = self._long(self._partial, lines)
        if final and self._partial:
            self._end(self._partial, lines)
            self._partial = ""
        return lines

    def take_partial(self) -> list[str]:
        """Give of the line that has begun what no later byte can change; nothing if there is none.

        A line that may announce a secret is not taken before its end.
        """
        if not self._goes_on and may_announce(self._partial):
            return []
        end = len(self._partial) - open_end(self._partial)
        partial, self._partial = self._partial[:end], self._partial[end:]
        self._goes_on = self._goes_on or bool(partial)
        return list(pieces(shown(partial), MAX_MESSAGE)) if partial else []

    def _long(self, line: str, lines: list[str]) -> str:
        """Move what is too long to wait for its end, in parts of always the same size; give the rest."""
        if self._hides:
            return ""
        if len(line) > MAX_MESSAGE and not self._goes_on and line.lstrip().startswith(COMMAND):
            lines.append(HIDDEN)  # and nothing more until its end
            self._hides = self._goes_on = True
            return ""
        start = 0
        while len(line) - start > MAX_MESSAGE:
            end = start + MAX_MESSAGE
            end -= open_end(line[start:end])
            lines += pieces(shown(line[start:end]), MAX_MESSAGE)
            start, self._goes_on = end, True
        return line[start:]

    def _end(self, rest: str, lines: list[str]) -> None:
        text = rest.removesuffix("\r")
        if text or not self._goes_on:
            lines += pieces(shown(text), MAX_MESSAGE)
        self._goes_on = self._hides = False


async def pump(reader: asyncio.StreamReader, mask: Mask, reporter: Reporter, step: str, level: LogLevel) -> None:
    """Carry one stream to the reporter until it ends. A reporter that is behind makes the command wait."""
    masker, lines, announced = mask.masker(), Lines(), Announced(mask)
    chunk: bytes | None = None
    while chunk != b"":
        chunk = await _read(reader, PARTIAL_SECONDS if lines.has_partial else None)
        if chunk is None:
            ready = lines.take_partial()
        else:
            await mask.refresh()
            ready = lines.feed(masker.feed(chunk)) if chunk else lines.feed(masker.finish(), final=True)
        for name in sorted(masker.take_seen()):
            await reporter.leak(step, mask.text(name))  # before the lines: the last one of a step stays the last one
        for line in ready:
            await reporter.log(step, level, await announced.hide(line))


async def _read(reader: asyncio.StreamReader, seconds: float | None) -> bytes | None:
    """Give what there is, empty at the end, or nothing if nothing came in that time."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(CHUNK_BYTES)
    except TimeoutError:
        return None


class Pipe:
    """A pipe from a child process: the end it writes to, and a reader.

    Our own, and not asyncio's: the end of a process must not have to wait for the end of its output, which a process
    left in the background may hold open.
    """

    def __init__(self, writing: int, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self.writing = writing
        self.reader = reader
        self._transport = transport

    @classmethod
    async def open(cls) -> Self:
        """Make a pipe."""
        reading, writing = os.pipe()
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        file = os.fdopen(reading, "rb", 0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        return cls(writing, reader, transport)

    def close_writing(self) -> None:
        """Leave the writing end to the child alone."""
        os.close(self.writing)

    def close(self) -> None:
        """Stop reading."""
        self._transport.close()
