"""A git server on loopback: the `git daemon` that git itself brings, for repositories made by a test."""

import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_WHO = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main")


class GitServer:
    """Serves every repository below a directory over git://, read-only."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        programs = subprocess.check_output(["git", "--exec-path"], text=True).strip()
        command = [f"{programs}/git-daemon", "--export-all", f"--base-path={self._directory}", "--listen=127.0.0.1"]
        self._process = subprocess.Popen([*command, f"--port={self._port}", "--reuseaddr", str(self._directory)])
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                assert time.monotonic() < deadline, "git daemon does not answer"
                time.sleep(0.05)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    def repository(self, name: str, files: Mapping[str, str]) -> str:
        """Make a repository with one commit on `main` that holds these files; give its URL."""
        where = self._directory / name
        where.mkdir()
        subprocess.run(["git", *_WHO, "init", "-q"], cwd=where, check=True)
        self.commit(name, files)
        return f"git://127.0.0.1:{self._port}/{name}"

    def commit(self, name: str, files: Mapping[str, str]) -> None:
        """Move `main` of a repository on by a commit that writes these files."""
        where = self._directory / name
        for path, text in files.items():
            file = where / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for arguments in (["add", "."], ["commit", "-q", "-m", "more"]):
            subprocess.run(["git", *_WHO, *arguments], cwd=where, check=True)
