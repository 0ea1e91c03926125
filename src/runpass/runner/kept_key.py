"""The runner's key between two starts: a file only its owner can read."""

from pathlib import Path

from runpass.errors import ConfigurationError, InvalidInput
from runpass.private_files import replace_private
from runpass.protocol.registration import Registered
from runpass.protocol.wire import Record, decode, encode

FILE_NAME = "runner.json"


class KeptKey(Record):
    """What the server said when the runner joined, and which server that was."""

    url: str
    registered: Registered


def load(state_dir: Path, url: str) -> Registered | None:
    """Give who this runner is at this server, or nothing if it has to join first."""
    path = state_dir / FILE_NAME
    try:
        kept = decode(KeptKey, path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, InvalidInput) as error:
        raise ConfigurationError(f"the runner key file {path} cannot be read") from error
    return kept.registered if kept.url == url else None


def keep(state_dir: Path, url: str, registered: Registered) -> None:
    """Write the key so that a crash leaves either the old file or the new one."""
    try:
        replace_private(state_dir / FILE_NAME, encode(KeptKey(url=url, registered=registered)))
    except OSError as error:
        raise ConfigurationError(f"the runner key cannot be kept in {state_dir}: {error.strerror}") from error


def open_state_dir(state_dir: Path) -> None:
    """Make the directory, or check that nobody else can look into it."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SECURITY: whoever reads the key is this runner.
        state_dir.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(f"state_dir {state_dir} cannot be used: {error.strerror}") from error
