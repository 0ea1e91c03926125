"""What a backup is made of: one sealed, compressed stream of JSON lines, read once to verify it and once to use it.

{"runpass": "backup", "format": 1, …}    what it is of
{"file": name, "data": base64}           a file that belongs to it, in pieces
{"table": …} and rows                    the database, see `dumping`
{"end": true, "lines": n}
"""

import base64
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from runpass.errors import ConfigurationError, Conflict, InvalidInput
from runpass.private_files import sync_directory
from runpass.server.keeping.sealed_stream import FileKey, open_stream, seal_stream

FORMAT: Final = 1
_PIECE_BYTES: Final = 786_432
_BROKEN: Final = "the backup cannot be read: it holds what this version does not know"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of. `revision` is the schema's, `master_key_ids` those that the sealed columns need."""

    version: str
    revision: str
    made_at: str
    kind: str
    master_key_ids: tuple[str, ...]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class TableBegins:
    """The rows that follow are of this table."""

    name: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FilePiece:
    """A piece of a file, to be added to the pieces before it."""

    name: str
    content: bytes


Entry = Manifest | TableBegins | FilePiece | list[Any]
"""A list is a row of the table that began last."""


def write_archive(
    path: Path, key: FileKey, manifest: Manifest, files: Iterable[tuple[str, bytes]], rows: Iterable[str]
) -> int:
    """Write a backup that nobody has seen half of; give its size in bytes.

    Raises `Conflict` when the file is there already: no backup is ever overwritten.
    """
    if path.exists():
        raise Conflict(f"the file {path} is there already")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            seal_stream(file, key, _compressed(_lines(manifest, files, rows)))
            file.flush()
            os.fsync(file.fileno())
        size = fresh.stat().st_size
        os.link(fresh, path)  # unlike a rename it never replaces what somebody put there meanwhile
        sync_directory(path.parent)
    except FileExistsError as error:
        raise Conflict(f"the file {path} is there already") from error
    except OSError as error:
        raise ConfigurationError(f"the file {path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()
    return size


def read_archive(file: BinaryIO, key: FileKey) -> Iterator[Entry]:
    """Give every entry of a backup, the manifest first.

    SECURITY: only the end of the iteration says that the backup was whole. Raises `InvalidInput`.
    """
    count, ended = 0, False
    for line in _split(_decompressed(open_stream(file, key))):
        if ended:
            raise InvalidInput(_BROKEN)
        entry = _entry(line, count)
        if entry is None:
            ended = True
            continue
        count += 1
        yield entry
    if not ended:
        raise InvalidInput(_BROKEN)


def _lines(manifest: Manifest, files: Iterable[tuple[str, bytes]], rows: Iterable[str]) -> Iterator[str]:
    count = 0
    for line in _content(manifest, files, rows):
        count += 1
        yield line
    yield json.dumps({"end": True, "lines": count})


def _content(manifest: Manifest, files: Iterable[tuple[str, bytes]], rows: Iterable[str]) -> Iterator[str]:
    yield json.dumps({"runpass": "backup", **asdict(manifest)})
    for name, content in files:
        for start in range(0, max(1, len(content)), _PIECE_BYTES):
            piece = base64.b64encode(content[start : start + _PIECE_BYTES]).decode()
            yield json.dumps({"file": name, "data": piece})
    yield from rows


def _compressed(lines: Iterable[str]) -> Iterator[bytes]:
    packer = zlib.compressobj(6)
    for line in lines:
        yield packer.compress(line.encode() + b"\n")
    yield packer.flush()


def _decompressed(content: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj()
    try:
        for chunk in content:
            yield unpacker.decompress(chunk)
        yield unpacker.flush()
    except zlib.error as error:
        raise InvalidInput(_BROKEN) from error


def _split(content: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for chunk in content:
        *whole, left = (left + chunk).split(b"\n")
        yield from whole
    if left:
        raise InvalidInput(_BROKEN)


def _entry(line: bytes, count: int) -> Entry | None:
    """Give what a line says; None for the end."""
    try:
        said = json.loads(line)
        if isinstance(said, list) and count:
            return said
        if count == 0:
            return _manifest(said)
        if "end" in said and said["lines"] == count:
            return None
        if "file" in said:
            return FilePiece(str(said["file"]), base64.b64decode(said["data"], validate=True))
        return TableBegins(str(said["table"]), tuple((str(name), str(kind)) for name, kind in said["columns"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(_BROKEN) from error


def _manifest(said: dict[str, Any]) -> Manifest:
    if said.pop("runpass") != "backup" or said["format"] != FORMAT:
        raise InvalidInput("the backup has a format that this version does not know", hint="use a newer runpass")
    return Manifest(**{**said, "master_key_ids": tuple(said["master_key_ids"])})
