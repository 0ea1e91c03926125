"""Isolation by namespaces: without root, bubblewrap gives every run a file system and processes of its own."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from runpass.errors import JobError
from runpass.protocol.registration import Isolation
from runpass.runner.cell import Launch
from runpass.runner.gate import counted
from runpass.runner.limits import Limits
from runpass.runner.processes import ProcessInfo, all_processes, descendants, describe, end_all, group_members

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
    trial = [*_arguments(program), "--", "/bin/sh", "-c", "exit 0"]
    try:
        done = subprocess.run(trial, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_SECONDS, check=False)  # noqa: S603 -- our own arguments
    except (OSError, subprocess.TimeoutExpired):
        return None
    return program if done.returncode == 0 else None


def _arguments(program: str) -> list[str]:
    arguments = [program, *NAMESPACES]
    for directory in SYSTEM_DIRECTORIES:
        path = Path(directory)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), directory]
        elif path.is_dir():
            arguments += ["--ro-bind", directory, directory]
    for name in SYSTEM_FILES:
        arguments += ["--ro-bind-try", name, name]
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    return arguments


def _places(home: Path, tool_path: Iterable[Path]) -> list[str]:
    """Give the arguments for the run's own places and its tools, in this order: they may stand below /tmp.

    SECURITY: what a run writes, it writes into its own directory: `/tmp` and `/dev/shm` are places there, and the rest
    is read-only. A file system in memory would be bounded by nothing but half of the machine's memory.
    """
    binds = [(home / "tmp", "/tmp"), (home / "shm", "/dev/shm"), (home, home)]  # noqa: S108 -- the sandbox's own
    for source, _ in binds:
        # SECURITY: bubblewrap follows links outside of the sandbox, and the command before may have put one here, to
        # any directory of the runner's user. Nothing of the run is alive between two commands.
        if not stat.S_ISDIR(source.lstat().st_mode):
            raise JobError(f"The run has put something else in the place of its own directory {source.name}.")
    arguments = [word for source, place in binds for word in ("--bind", str(source), str(place))]
    for tools in tool_path:
        arguments += ["--ro-bind-try", str(tools), str(tools)]
    return [*arguments, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", os.fspath(home / "workspace")]


class BubblewrapIsolator:
    """Every run sees the system read-only, its own directory, and nothing of the host's homes or other runs."""

    kind = Isolation.BUBBLEWRAP

    def __init__(self, program: str, tool_path: Sequence[Path], limits: Limits, why: str) -> None:
        self.why = why
        self._limits = limits
        self._arguments = _arguments(program)
        self._tool_path = tuple(tool_path)

    def limit(self, capacity: int) -> int:
        """Allow what was asked for."""
        return capacity

    def reclaim(self, work_dir: Path) -> None:
        """Nothing runs on: the kernel ends a sandbox with the runner that started it."""

    def cell(self, run: str) -> "BubblewrapCell":  # noqa: ARG002 -- sandboxes need no name
        """Give the run a sandbox."""
        return BubblewrapCell(self._arguments, self._tool_path, self._limits.processes)

    def close(self) -> None:
        """Hold nothing."""


class BubblewrapCell:
    """One run's sandboxes: one per command, all with the run's directory in them."""

    owner = None

    def __init__(self, arguments: list[str], tool_path: Sequence[Path], processes: int) -> None:
        self._arguments = arguments
        self._tool_path = tool_path
        self._processes = processes
        self._leaders: set[int] = set()
        self._latest: int | None = None

    def launch(self, argv: Sequence[str], home: Path) -> Launch:
        """Start it in a sandbox with the run's directory at its own place."""
        try:
            places = _places(home, self._tool_path)
        except OSError as error:
            raise JobError(f"A directory of the run is gone: {error.strerror}.") from error
        return Launch((*self._arguments, *places, "--", *counted(argv, self._processes)))

    def started(self, pid: int) -> None:
        """Remember bubblewrap's own process: what it started is in its session."""
        self._leaders.add(pid)
        self._latest = pid

    def to_terminate(self, leader: int) -> list[ProcessInfo]:
        """Give the commands without bubblewrap, which would take them all down at the first SIGTERM."""
        return [process for process in group_members(leader) if process.pid != leader]

    def members(self) -> list[ProcessInfo]:
        """Give what is below bubblewrap: orphans of a sandbox stay below its first process.

        Only the last command has a sandbox, since the kernel ends each one with its command.
        """
        latest = self._latest
        if latest is None or (found := describe(latest)) is None or found.parent != os.getpid():
            return []  # it has ended, whoever has its number now
        return descendants(latest)

    def exceeded(self) -> None:
        """Say nothing: a runner without root has no control group for its runs."""

    def end(self) -> list[int]:
        """Kill what is left; with a sandbox's first process, the kernel ends all the others in it."""
        return end_all(self._members)

    def release(self) -> None:
        """Hold nothing."""

    def _members(self) -> list[ProcessInfo]:
        return [process for process in all_processes() if process.session in self._leaders]
