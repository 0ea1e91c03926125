"""Secrets in and out of the command line: by file, standard input or hidden prompt; never by argument."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runpass.errors import ConfigurationError, Conflict, InvalidInput

if TYPE_CHECKING:
    from runpass.secret import Secret

MAX_BYTES = 1_048_576


def write_secret_file(path: Path, content: str) -> None:
    """Write a new file that only its owner can read (0600).

    Raises `Conflict` when it is there already: a secret that was shown once is not overwritten.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Conflict(f"the file {path} is there already") from error
    except OSError as error:
        raise ConfigurationError(f"the file {path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)


def check_writable(path: Path | None) -> None:
    """Raise before a secret is made that could not be written afterwards."""
    if path is None:
        return
    if path.exists():
        raise Conflict(f"the file {path} is there already")
    if not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"the directory {path.parent} cannot be written")


def read_secret(file: Path | None, what: str) -> "Secret":
    """Give a secret from a file, a hidden prompt at a terminal, or standard input; one newline at its end goes."""
    from runpass.secret import Secret

    if file is not None:
        return Secret(_without_newline(_read(file, what), what))
    if sys.stdin.isatty():
        return Secret(str(typer.prompt(what, hide_input=True, err=True)))
    return Secret(_without_newline(sys.stdin.buffer.read(MAX_BYTES + 1), what))


def _read(file: Path, what: str) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"the file {file} with the {what} cannot be read: {error.strerror}") from error


def _without_newline(content: bytes, what: str) -> str:
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"the {what} is longer than {MAX_BYTES} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"the {what} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def read_private_secret(file: Path, what: str) -> "Secret":
    """Give a secret from a file that only its owner can read. Raises `ConfigurationError` for wider modes."""
    from runpass.secret import Secret

    content = _without_newline(_read(file, what), what)
    if file.stat().st_mode & 0o077:
        raise ConfigurationError(f"the file {file} is open to others", hint=f"run: chmod 0600 {file}")
    return Secret(content)
