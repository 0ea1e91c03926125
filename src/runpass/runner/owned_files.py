"""Files that the runner writes for a run while it may already be running: secrets, and tokens that stay fresh."""

import asyncio
import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path

from runpass.errors import JobError
from runpass.runner.cell import Owner
from runpass.runner.workspace import Workspace
from runpass.secret import Secret


class OwnedFiles:
    """A directory beside the run's workspace whose files (0600) belong to the run's user, and to nobody else.

    SECURITY: the directory belongs to the runner, so the run can put nothing into it, and it is held open, so the run,
    which can move it, cannot make the runner write anywhere else. It must be made before anything of the run runs.
    """

    def __init__(self, workspace: Workspace, owner: Owner | None, name: str) -> None:
        self.path = workspace.directory / name
        self._owner = owner
        self._lock = threading.Lock()
        self._is_open = True
        try:
            self.path.mkdir(mode=0o700)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            if owner is not None:
                os.fchmod(self._descriptor, 0o711)
        except OSError as error:
            raise JobError(f"The directory {name} of the run could not be made: {error.strerror}.") from error

    def write(self, name: str, content: bytes) -> Path:
        """Put this content under this name, in one step, and give where it stands. Raises `JobError`."""
        # SECURITY: a write that goes on when its run has ended must not find another run's directory under this number.
        with self._lock:
            if not self._is_open:
                raise JobError(f"The file {name} of the run was not written: the run is over.")
            return self._write(name, content)

    def _write(self, name: str, content: bytes) -> Path:
        aside = f".{name}-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(aside, flags, 0o600, dir_fd=self._descriptor), "wb") as file:
                file.write(content)
                if self._owner is not None:
                    os.fchown(file.fileno(), self._owner.uid, self._owner.gid)
            os.replace(aside, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError as error:
            with suppress(OSError):
                os.unlink(aside, dir_fd=self._descriptor)
            raise JobError(f"The file {name} of the run could not be written: {error.strerror}.") from error
        return self.path / name

    def close(self) -> None:
        """Let go of the directory."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                os.close(self._descriptor)


class SecretFiles:
    """The files that hold the secrets of one run; their directory is made with the first of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._files: OwnedFiles | None = None

    async def keep(self, workspace: Workspace, owner: Owner | None, variable: str, content: Secret) -> Path:
        """Put a secret into the file of this variable and give where it stands. Raises `JobError`.

        SECURITY: to be called before anything of the run is running.
        """
        if self._files is None:
            self._files = await asyncio.to_thread(OwnedFiles, workspace, owner, self._name)
        return await asyncio.to_thread(self._files.write, variable, content.reveal().encode())

    def close(self) -> None:
        """Let go of the directory."""
        if self._files is not None:
            self._files.close()
            self._files = None
