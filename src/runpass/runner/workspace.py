"""Workspaces: one directory per run, made for its user, and gone afterwards whatever the run did to it."""

import contextlib
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runpass.errors import ConfigurationError, JobError
from runpass.runner.cell import Owner

LOCK_NAME: Final = ".lock"
OUTPUT_NAME: Final = "runpass-output.json"
MASK_NAME: Final = "runpass-mask"
PASSED_NAME: Final = "env0-env"
PARTS: Final = ("workspace", "home", "tmp", "shm", "scripts")
"""`shm` is what a sandbox has as /dev/shm."""
REMOVE_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Workspace:
    """The directory of one run. Commands start in `root`; `HOME` and `TMPDIR` stand beside it."""

    directory: Path
    scripts: tuple[Path, ...]
    files: Mapping[str, Path]
    """Where the files stand that were asked for beside the scripts, by their names."""

    @property
    def root(self) -> Path:
        """Give where commands start."""
        return self.directory / "workspace"

    @property
    def home(self) -> Path:
        """Give the run's home directory."""
        return self.directory / "home"

    @property
    def tmp(self) -> Path:
        """Give the run's directory for temporary files."""
        return self.directory / "tmp"

    @property
    def output(self) -> Path:
        """Give the file that the run may leave its outputs in."""
        return self.tmp / OUTPUT_NAME

    @property
    def passed_on(self) -> Path:
        """Give the file through which one command passes variables on to the next."""
        return self.tmp / PASSED_NAME

    @property
    def masks(self) -> Path:
        """Give the file that the run may name further secrets in."""
        return self.tmp / MASK_NAME


class WorkspaceRoot:
    """The directory that all workspaces of this runner stand in. One runner at a time has it."""

    def __init__(self, path: Path, *, for_others: bool) -> None:
        self._path = path
        try:
            path.mkdir(mode=0o711, parents=True, exist_ok=True)
            # Runs pass through on the way to their own directory, and cannot list whose others there are.
            path.chmod(0o711 if for_others else 0o700)
            self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            self._lock = os.open(LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=self._directory)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"work_dir {path} is used by another runner") from error
        except OSError as error:
            raise ConfigurationError(f"work_dir {path} cannot be used: {error.strerror}") from error
        if for_others:
            _check_way_in(path)

    def close(self) -> None:
        """Let another runner have the directory."""
        os.close(self._lock)
        os.close(self._directory)

    def reclaim(self) -> list[str]:
        """Remove every workspace that an earlier runner left, and give their names. Nothing may still run in them."""
        names = [name for name in _names(self._directory) if name != LOCK_NAME]
        for name in names:
            self._remove(name)
        return names

    def make(
        self, name: str, owner: Owner | None, commands: Sequence[str], files: Mapping[str, bytes] | None = None
    ) -> Workspace:
        """Make a run's directory with its commands as script files and these files, all belonging to the run's user.

        SECURITY: all files are written here, before anything of the run can be running: later, the run could have put
        a link where the runner writes.
        """
        try:
            self._remove(name)
            os.mkdir(name, 0o700, dir_fd=self._directory)
            directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._directory)
            try:
                _fill(directory, owner, commands, files or {})
            finally:
                os.close(directory)
        except OSError as error:
            with contextlib.suppress(OSError):  # what was begun on a full disk is no workspace that anybody removes
                self._remove(name)
            raise JobError(f"The workspace could not be made: {error.strerror}.") from error
        path = self._path / name
        scripts = tuple(path / "scripts" / f"{number}.sh" for number in range(1, len(commands) + 1))
        return Workspace(path, scripts, {item: path / "scripts" / item for item in files or {}})

    def remove(self, workspace: Workspace) -> None:
        """Remove a run's directory. May block for seconds. Raises `JobError` if something of it is still there."""
        try:
            self._remove(workspace.directory.name)
        except OSError as error:
            raise JobError(f"The workspace could not be removed: {error.strerror}.") from error

    def read_left(self, workspace: Workspace, owner: Owner | None, name: str, limit: int) -> bytes | None:
        """Give what a run left in a file of this name (of `tmp`), at most `limit` bytes and one more; or nothing.

        Raises `JobError` for anything but a plain file of the run's own.

        SECURITY: the run decides what stands there, so no link is followed on the way, nothing is opened that could
        make the runner wait, and a file that has another name as well, or another owner, is not the run's to show.
        """
        try:
            file = self._open_left(workspace, name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JobError(f"The file {name} cannot be read: {error.strerror}.") from error
        try:
            if not is_plain_file_of(os.fstat(file), owner):
                raise JobError(f"The file {name} is not a plain file of the run's own.")
            with os.fdopen(file, "rb", closefd=False) as output:
                return output.read(limit + 1)
        except OSError as error:
            raise JobError(f"The file {name} cannot be read: {error.strerror}.") from error
        finally:
            os.close(file)

    def open_tmp(self, workspace: Workspace) -> int:
        """Open a run's directory for temporary files, following no link on the way. The caller closes it."""
        return self._open_part(workspace, "tmp")

    def _open_left(self, workspace: Workspace, name: str) -> int:
        tmp = self.open_tmp(workspace)
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=tmp)
        finally:
            os.close(tmp)

    def put_into_home(self, workspace: Workspace, owner: Owner | None, name: str, content: bytes) -> None:
        """Put a file into a run's home directory while the run goes on, in the place of what stood there.

        Raises `JobError` if that cannot be done.

        SECURITY: the run may have put anything there. The file is written where no run gets to, and moved: moving
        follows no link, and opens nothing that the run has made but the directory itself, which must be the run's own.
        """
        temporary = f".{secrets.token_hex(8)}"
        try:
            home = self._open_part(workspace, "home")
            try:
                if os.fstat(home).st_uid != (os.geteuid() if owner is None else owner.uid):
                    raise JobError(f"{name} could not be written: the home directory is not the run's own.")
                self._write(temporary, owner, content)
                os.rename(temporary, name, src_dir_fd=self._directory, dst_dir_fd=home)
            finally:
                os.close(home)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._directory)
            raise JobError(f"{name} could not be written: {error.strerror}.") from error

    def _write(self, name: str, owner: Owner | None, content: bytes) -> None:
        created = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(name, created, 0o600, dir_fd=self._directory), "wb") as file:
            file.write(content)
            if owner is not None:
                os.fchown(file.fileno(), owner.uid, owner.gid)

    def _open_part(self, workspace: Workspace, part: str) -> int:
        directory = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        run = os.open(workspace.directory.name, directory, dir_fd=self._directory)
        try:
            return os.open(part, directory, dir_fd=run)
        finally:
            os.close(run)

    def _remove(self, name: str) -> None:
        for attempt in range(REMOVE_ATTEMPTS):
            try:
                remove_tree(name, self._directory)
            except FileNotFoundError:
                return
            except OSError:
                if attempt == REMOVE_ATTEMPTS - 1:
                    raise
                time.sleep(0.1)


def is_plain_file_of(found: os.stat_result, owner: Owner | None) -> bool:
    """Whether this is a file that belongs to a run's user and has no other name."""
    its_user = os.geteuid() if owner is None else owner.uid
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == its_user


def _fill(directory: int, owner: Owner | None, commands: Sequence[str], others: Mapping[str, bytes]) -> None:
    for part in PARTS:
        os.mkdir(part, 0o700, dir_fd=directory)
    scripted = {f"{number}.sh": command.encode() + b"\n" for number, command in enumerate(commands, start=1)}
    scripts = os.open("scripts", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        for name, content in {**others, **scripted}.items():
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=scripts)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                if owner is not None:
                    os.fchown(file.fileno(), owner.uid, owner.gid)
    finally:
        os.close(scripts)
    if owner is not None:
        for part in PARTS:
            os.chown(part, owner.uid, owner.gid, dir_fd=directory, follow_symlinks=False)
        os.fchown(directory, owner.uid, owner.gid)


def _check_way_in(path: Path) -> None:
    for parent in path.resolve().parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            raise ConfigurationError(
                f"work_dir {path} cannot be reached by the users that runs get: {parent} is closed to others",
                hint=f"Put work_dir elsewhere, or allow passing through: chmod o+x {parent}",
            )


def remove_tree(name: str, parent: int) -> None:
    """Remove what stands under this name in an open directory. Raises `FileNotFoundError` if nothing does.

    SECURITY: never follows a link, since every step is relative to an open directory and opens nothing but
    directories. A tree deeper than any stack, or than the number of open files, is no obstacle: it is flattened, each
    directory's own directories moving up to the top, before it is removed.
    """
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    top = _open_directory(name, parent)
    try:
        while names := _names(top):
            for entry in names:
                _flatten(entry, top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _flatten(name: str, top: int) -> None:
    if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=top)
        return
    directory = _open_directory(name, top)
    try:
        for entry in _names(directory):
            if stat.S_ISDIR(os.stat(entry, dir_fd=directory, follow_symlinks=False).st_mode):
                _make_passable(entry, directory)  # moving a directory rewrites its ..
                os.rename(entry, f".{secrets.token_hex(8)}", src_dir_fd=directory, dst_dir_fd=top)
            else:
                os.unlink(entry, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=top)


def _open_directory(name: str, parent: int) -> int:
    _make_passable(name, parent)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def _names(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]


def _make_passable(name: str, parent: int) -> None:
    # Root passes anyway. For others chmod would follow a link put here since the caller looked, but all processes of
    # the run are dead by now, and it reaches nothing that is not this user's own.
    if os.geteuid() != 0:
        os.chmod(name, 0o700, dir_fd=parent)
