"""Server and runner as child processes, configured by settings files of their own; nothing secret in an argument."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any, Final, Self, TextIO

import httpx2

from runpass.clock import SYSTEM_CLOCK
from runpass.errors import ConfigurationError
from runpass.local.child import ChildProcess
from runpass.private_files import replace_private

START_SECONDS: Final = 40.0
_POLL_SECONDS: Final = 0.02


class Program:
    """One of our two programs, running. Its log goes to a file that only we can read."""

    def __init__(self, name: str, settings: Mapping[str, Any], directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = directory / f"{name}.toml"
        write_private(file, toml(settings))
        self.name = name
        self.log = directory / f"{name}.log"
        self._log_file = LogFile(self.log)
        self._child = ChildProcess(
            [sys.executable, "-m", "runpass", name.partition("-")[0], "--settings", str(file)],
            home=directory,
            on_line=self._log_file.write,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def has_ended(self) -> bool:
        """Whether the program is gone."""
        return self._child.has_ended

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def stop(self) -> None:
        """End the program and wait until it is gone."""
        self._child.stop()
        self._log_file.close()

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Wait until ready; raises `ConfigurationError` with the end of the program's output when it ends first."""
        deadline = SYSTEM_CLOCK.monotonic() + START_SECONDS
        pause = Event()
        while self.has_ended or not is_ready():  # its end comes first: somebody else may answer on its port
            if self.has_ended or SYSTEM_CLOCK.monotonic() > deadline:
                said = "\n".join(self._child.last_lines[-5:])
                raise ConfigurationError(f"the {self.name} did not start", hint=f"The end of its output:\n{said}")
            pause.wait(_POLL_SECONDS)


def server_is_ready(url: str) -> Callable[[], bool]:
    """Give a test for whether the server at this URL is ready."""

    def ready() -> bool:
        try:
            with httpx2.Client(trust_env=False, timeout=2) as client:
                return client.get(f"{url}/readyz").is_success
        except httpx2.HTTPError:
            return False

    return ready


def toml(settings: Mapping[str, Any]) -> str:
    """Give flat settings as TOML; a JSON string, number, boolean or list of strings is TOML as it stands."""
    plain = {
        key: [str(item) for item in value] if isinstance(value, tuple) else value for key, value in settings.items()
    }
    lines = [f"{key} = {json.dumps(str(v) if isinstance(v, Path) else v)}" for key, v in plain.items() if v is not None]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a text file that only we can read."""
    replace_private(path, text.encode())


class LogFile:
    """A program's log: a file that only we can read, begun anew at `MAX_BYTES` with one older file kept."""

    MAX_BYTES: Final = 16_777_216

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def write(self, line: str) -> str:
        """Write a line, and give it back."""
        if self._file.tell() > self.MAX_BYTES:
            self._file.close()
            self._path.replace(self._path.with_suffix(".log.1"))
            self._file = self._open()
        self._file.write(line.rstrip("\n") + "\n")
        return line

    def close(self) -> None:
        """Close the file; nothing is written after that."""
        self._file.close()

    def _open(self) -> TextIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8", buffering=1)
