"""A command's output: bytes as they come, masked, cut into lines, on their way to the reporter."""

import asyncio
import codecs
import os
from typing import Final, Self

from runpass.protocol.reports import MAX_MESSAGE, LogLevel
from runpass.runner.masking import Mask
from runpass.runner.reporter import Reporter

CHUNK_BYTES: Final = 64 * 1024
PARTIAL_SECONDS: Final = 0.2
"""How long a line without an end waits for it before it is shown anyway."""


class Lines:
    """Turns masked bytes into lines. Invalid UTF-8 and NUL (no database takes it) become the replacement character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial = ""

    @property
    def has_partial(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._partial)

    def feed(self, data: bytes, *, final: bool = False) -> list[str]:
        """Give the lines that are complete now, or too long to wait for their end."""
        text = self._partial + self._decoder.decode(data, final).replace("\0", "\N{REPLACEMENT CHARACTER}")
        *lines, self._partial = text.split("\n")
        if final or len(self._partial) >= MAX_MESSAGE:
            lines += self.take_partial()
        return [line.removesuffix("\r") for line in lines]

    def take_partial(self) -> list[str]:
        """Give the line that has begun, if there is one."""
        partial, self._partial = self._partial, ""
        return [partial] if partial else []


async def pump(reader: asyncio.StreamReader, mask: Mask, reporter: Reporter, step: str, level: LogLevel) -> None:
    """Carry one stream to the reporter until it ends. A reporter that is behind makes the command wait."""
    masker, lines = mask.masker(), Lines()
    chunk: bytes | None = None
    while chunk != b"":
        chunk = await _read(reader, PARTIAL_SECONDS if lines.has_partial else None)
        if chunk is None:
            ready = lines.take_partial()
        elif chunk:
            ready = lines.feed(masker.feed(chunk))
        else:
            ready = lines.feed(masker.finish(), final=True)
        for line in ready:
            await reporter.log(step, level, line)


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
