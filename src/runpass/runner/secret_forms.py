"""The forms in which a secret may turn up in a log: as it is, line by line, and in the usual encodings."""

import base64
import json
import shlex
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 6
"""Shorter values are not masked: `true` or `1234` would tear holes into everything."""


def is_maskable(value: str) -> bool:
    """Whether the value is long enough to be masked."""
    return len(value.strip()) >= SHORTEST


def forms(value: str) -> set[bytes]:
    """Give every form of a value that is masked; nothing if it is too short."""
    if not is_maskable(value):
        return set()
    pieces = {value, value.strip(), *(line.strip() for line in value.splitlines())}
    found = {piece.encode(errors="surrogateescape") for piece in pieces if is_maskable(piece)}
    for piece in {value, value.strip()}:
        found.update(_encoded(piece))
    return {form for form in found if len(form) >= SHORTEST}


def _encoded(value: str) -> Iterator[bytes]:
    raw = value.encode(errors="surrogateescape")
    yield from _base64(raw)
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    quoted = {quote(raw), quote(raw, safe=""), quote_plus(raw)}
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for text in quoted | escaped | {shlex.quote(value)}:
        yield text.encode(errors="surrogateescape")


def _base64(raw: bytes) -> Iterator[bytes]:
    """Give the value's base64 in both alphabets, alone and as a part of something longer.

    In a longer text the value may start at any of three offsets; the characters it shares with its neighbours are left
    out, since they cannot be known.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw)
        yield encode(raw).rstrip(b"=")
        for offset in range(3):
            bits = 8 * (offset + len(raw))
            yield encode(bytes(offset) + raw)[-(-8 * offset // 6) : bits // 6]
