"""Files that only their owner can read, replaced in one step: a crash leaves either the old file or the new one."""

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Have the names in a directory reach the disk, as those of files that were just put there; raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, whatever stood there before and whatever the umask says; raises `OSError`.

    The new one is written beside the old one, reaches the disk, and takes its name.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
