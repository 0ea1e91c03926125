"""Isolation by namespaces: without root, bubblewrap gives every run a file system and processes of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from runpass.protocol.registration import Isolation
from runpass.runner.cell import Launch
from runpass.runner.processes import ProcessInfo, all_processes, end_all, group_members

TRIAL_SECONDS: Final = 10.0
SYSTEM_DIRECTORIES: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# SECURITY: an allow-list. Anything else of /etc may hold this runner's own settings, or somebody's secrets.
SYSTEM_FILES: Final = tuple(
    "/etc/" + name
    for name in (
        "alternatives",
        "ca-certificates",
        "ca-certificates.conf",
        "debian_version",
        "group",
        "hosts",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "localtime",
        "mime.types",
        "nsswitch.conf",
        "os-release",
        "passwd",
        "pki",
        "protocols",
        "resolv.conf",
        "services",
        "ssl",
        "timezone",
    )
)
# The network is kept: a deployment talks to clouds and to Vault. `--new-session` is left out on purpose: every command
# is started in a session of its own without a terminal, and a second one would hide it from SIGTERM to its group.
NAMESPACES: Final = (
    "--unshare-user-try",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
)


def find() -> str | None:
    """Give the path of a bubblewrap that works here, tried by starting something in it."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    trial = [*_arguments(program, ()), "--", "/bin/sh", "-c", "exit 0"]
    try:
        done = subprocess.run(trial, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_SECONDS, check=False)  # noqa: S603 -- our own arguments
    except (OSError, subprocess.TimeoutExpired):
        return None
    return program if done.returncode == 0 else None


def _arguments(program: str, tool_path: Iterable[Path]) -> list[str]:
    arguments = [program, *NAMESPACES]
    for directory in SYSTEM_DIRECTORIES:
        path = Path(directory)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), directory]
        elif path.is_dir():
            arguments += ["--ro-bind", directory, directory]
    for name in SYSTEM_FILES:
        arguments += ["--ro-bind-try", name, name]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 -- the sandbox's own
    for tools in tool_path:
        arguments += ["--ro-bind-try", str(tools), str(tools)]
    return arguments


class BubblewrapIsolator:
    """Every run sees the system read-only, its own directory, and nothing of the host's homes or other runs."""

    kind = Isolation.BUBBLEWRAP

    def __init__(self, program: str, tool_path: Sequence[Path], why: str) -> None:
        self.why = why
        self._arguments = _arguments(program, tool_path)

    def limit(self, capacity: int) -> int:
        """Allow what was asked for."""
        return capacity

    def reclaim(self, work_dir: Path) -> None:
        """Nothing runs on: the kernel ends a sandbox with the runner that started it."""

    def cell(self, run: str) -> "BubblewrapCell":  # noqa: ARG002 -- sandboxes need no name
        """Give the run a sandbox."""
        return BubblewrapCell(self._arguments)

    def close(self) -> None:
        """Hold nothing."""


class BubblewrapCell:
    """One run's sandboxes: one per command, all with the run's directory in them."""

    owner = None

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self._leaders: set[int] = set()

    def launch(self, argv: Sequence[str], home: Path) -> Launch:
        """Start it in a sandbox with the run's directory at its own place."""
        place = ["--bind", str(home), str(home), "--chdir", os.fspath(home / "workspace")]
        return Launch((*self._arguments, *place, "--", *argv))

    def started(self, pid: int) -> None:
        """Remember bubblewrap's own process: what it started is in its session."""
        self._leaders.add(pid)

    def to_terminate(self, leader: int) -> list[ProcessInfo]:
        """Give the commands without bubblewrap, which would take them all down at the first SIGTERM."""
        return [process for process in group_members(leader) if process.pid != leader]

    def end(self) -> list[int]:
        """Kill what is left; with a sandbox's first process, the kernel ends all the others in it."""
        return end_all(self._members)

    def release(self) -> None:
        """Hold nothing."""

    def _members(self) -> list[ProcessInfo]:
        return [process for process in all_processes() if process.session in self._leaders]
