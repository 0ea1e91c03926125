"""Opening the server's parts, in order, each with a sentence when it cannot: directory, master key, database, keys."""

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from runpass.clock import SYSTEM_CLOCK, Clock
from runpass.errors import ConfigurationError, Unavailable
from runpass.private_files import sync_directory
from runpass.secret import Secret
from runpass.server.db.encryption import KEY_BYTES, Cipher
from runpass.server.db.engine import Database, open_database
from runpass.server.db.master_key import check_master_key
from runpass.server.db.migrate import prepare
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.rings import LiveRing, Rings, open_rings
from runpass.server.issuer.rotation import Policy
from runpass.server.openid.opening import OpenId, open_openid
from runpass.server.settings import ServerSettings
from runpass.server.tenancy.store import with_issuer_wanted
from runpass.server.vault_tasks.confirmations import Confirmations

_PROBE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Parts:
    """An opened server, before it listens."""

    settings: ServerSettings
    clock: Clock
    database: Database
    cipher: Cipher
    rings: Rings
    openid: OpenId | None = None
    """The provider with which people may sign in."""

    @property
    def ring(self) -> LiveRing:
        """Give the key ring of the shared issuer."""
        return self.rings.shared

    def close(self) -> None:
        """Close what was opened."""
        if self.openid is not None:
            self.openid.provider.close()
        self.database.close()


def open_parts(settings: ServerSettings, clock: Clock = SYSTEM_CLOCK) -> Parts:
    """Open everything a server needs.

    Raises `ConfigurationError` with one sentence and the next step.
    """
    prepare_directory(settings.data_dir)
    make_private(settings.database_url)
    cipher = open_cipher(settings)
    openid = open_openid(settings, clock)
    database = open_database(settings.database_url)
    try:
        prepare(database)
        check_master_key(database, cipher)
        policy = key_policy(settings)
        rings = open_rings(
            database, cipher, clock, policy, Confirmations(policy.confirm_limit), chosen=with_issuer_wanted
        )
        return Parts(settings, clock, database, cipher, rings, openid)
    except Unavailable as error:
        database.close()
        raise ConfigurationError(f"the database cannot be opened: {_reason(error)}") from error
    except BaseException:
        database.close()
        raise


def cipher_of(settings: ServerSettings, database: Database) -> Cipher:
    """Give the cipher of a database that is there already, for commands beside the server. No master key is made.

    Raises `ConfigurationError` when there is no master key, or another one.
    """
    file = settings.master_key_file
    if settings.master_key is None and file is not None and not file.exists():
        raise ConfigurationError(f"there is no master key file {file}", hint="name the server's own --settings")
    cipher = open_cipher(settings)
    check_master_key(database, cipher)
    return cipher


def key_policy(settings: ServerSettings) -> Policy:
    """Give what the settings say about the life of signing keys."""
    every = settings.key_rotation_seconds
    return Policy(
        algorithm=Algorithm(settings.signing_algorithm),
        rotate_every=timedelta(seconds=every) if every else None,
        publish_ahead=timedelta(seconds=settings.key_publish_ahead_seconds),
        longest_token=timedelta(seconds=settings.token_lifetime_seconds),
        stale_after=timedelta(seconds=settings.key_ring_stale_seconds),
        cache_time=timedelta(seconds=settings.jwks_max_age_seconds),
        confirm_limit=timedelta(seconds=settings.key_confirm_limit_seconds),
    )


def prepare_directory(directory: Path) -> None:
    """Make a directory for secrets (0700), and make sure it can be written and nobody else can look in.

    Raises `ConfigurationError` for wider modes, a read-only or a full directory.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & 0o077:
            raise ConfigurationError(
                f"the directory {directory} is open to others (mode {mode:04o})", hint=f"run: chmod 0700 {directory}"
            )
        _probe(directory)
    except OSError as error:
        raise ConfigurationError(f"the directory {directory} cannot be written: {error.strerror}") from error


def _probe(directory: Path) -> None:
    probe = directory / f".probe-{os.getpid()}"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            left = memoryview(bytes(_PROBE_BYTES))
            while left:  # a disk that is nearly full takes a part and only then refuses
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        probe.unlink(missing_ok=True)


def make_private(database_url: str) -> None:
    """Make a SQLite file with mode 0600 before SQLite does with another one; its companions inherit the mode."""
    prefix = "sqlite:///"
    if not database_url.startswith(prefix) or not database_url.removeprefix(prefix):
        return
    path = Path(database_url.removeprefix(prefix))
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise ConfigurationError(f"the database file {path} cannot be written: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(
            f"the database file {path} is open to others (mode {mode:04o})", hint=f"run: chmod 0600 {path}"
        )


def secret_file(path: Path, size_bytes: int, what: str) -> bytes:
    """Give the bytes of a secret file, made with random ones if it is not there yet.

    Raises `ConfigurationError` for wider modes than 0600, a wrong size, or a file that cannot be read.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path, os.urandom(size_bytes))
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the {what} {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(f"the {what} {path} is open to others (mode {mode:04o})", hint=f"chmod 0600 {path}")
    if len(content) != size_bytes:
        raise ConfigurationError(f"the {what} {path} must be exactly {size_bytes} bytes")
    return content


def _create(path: Path, content: bytes) -> None:
    """Make a file that is whole from the first moment it can be seen: written aside, then put into its place."""
    aside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster, and its file is as good
            os.link(aside, path)
        sync_directory(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def open_cipher(settings: ServerSettings) -> Cipher:
    """Give the cipher with the master keys of the settings; the first start of all makes the key.

    Raises `ConfigurationError` for a key that cannot be read, or is none.
    """
    return Cipher(_master_key(settings), _previous_master_key(settings))


def _master_key(settings: ServerSettings) -> bytes:
    if settings.master_key is not None:
        return _from_hex("master_key", settings.master_key)
    if settings.master_key_file is None:
        raise ConfigurationError("master_key_file or master_key is required")
    return secret_file(settings.master_key_file, KEY_BYTES, "master key file")


def _previous_master_key(settings: ServerSettings) -> bytes | None:
    if settings.previous_master_key is not None:
        return _from_hex("previous_master_key", settings.previous_master_key)
    file = settings.previous_master_key_file
    if file is None:
        return None
    if not file.exists():  # SECURITY: the key to leave is never made
        raise ConfigurationError(f"the previous master key file {file} is not there")
    return secret_file(file, KEY_BYTES, "previous master key file")


def _from_hex(name: str, value: Secret) -> bytes:
    try:
        return bytes.fromhex(value.reveal())
    except ValueError:
        raise ConfigurationError(f"{name} must be {KEY_BYTES * 2} hex digits") from None


def _reason(error: Unavailable) -> str:
    cause = error.__cause__
    return str(getattr(cause, "orig", "") or error.message).strip().splitlines()[0]
