"""A command's output: bytes as they come, masked, cut into lines, on their way to the reporter."""

import asyncio
import codecs
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

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
    while True:
        try:
            async with asyncio.timeout(PARTIAL_SECONDS if lines.has_partial else None):
                chunk = await reader.read(CHUNK_BYTES)
        except TimeoutError:
            ready = lines.take_partial()
        else:
            ready = lines.feed(masker.feed(chunk)) if chunk else lines.feed(masker.finish(), final=True)
            if not chunk:
                break
        for line in ready:
            await reporter.log(step, level, line)
    for line in ready:
        await reporter.log(step, level, line)


@asynccontextmanager
async def open_pipe() -> AsyncIterator[tuple[int, asyncio.StreamReader]]:
    """Give the writing end for a child process, and a reader. The writing end is closed here on the way out.

    Our own pipe, and not asyncio's: the end of a process must not have to wait for the end of its output, which a
    process left in the background may hold open.
    """
    reading, writing = os.pipe()
    reader = asyncio.StreamReader(limit=CHUNK_BYTES)
    loop = asyncio.get_running_loop()
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0))
        yield writing, reader
    finally:
        os.close(writing)
