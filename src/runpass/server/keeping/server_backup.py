"""A server as a whole, from its settings: what is written into its backup, and put back from it."""

from collections.abc import Mapping
from pathlib import Path

from runpass.clock import Clock
from runpass.errors import ConfigurationError, InvalidInput
from runpass.secret import Secret
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, open_database
from runpass.server.keeping.backing_up import MASTER_KEY, PREVIOUS_MASTER_KEY, SERVER, BackedUp, Backup
from runpass.server.keeping.restoring import (
    Contents,
    place_file,
    require_empty,
    restore_database,
    verify_archive,
)
from runpass.server.keeping.sealed_stream import FileKey
from runpass.server.opening import make_private, open_cipher, prepare_directory
from runpass.server.settings import ServerSettings


def back_up_server(  # noqa: PLR0913 -- what, where, how, when and who
    settings: ServerSettings, database: Database, path: Path, key: FileKey, *, clock: Clock, actor: str, keys: bool
) -> BackedUp:
    """Write a backup of a server, its master keys in it or not."""
    cipher = open_cipher(settings)
    files = _master_keys(settings) if keys else []
    return Backup(database, cipher, clock, actor).write(path, key, files)


def restore_server(settings: ServerSettings, path: Path, key: FileKey) -> Contents:
    """Put a server back into an empty place: the whole backup is verified first, then the keys, then the database."""
    contents = verify_archive(path, key)
    if contents.manifest.kind != SERVER:
        raise InvalidInput("this is a backup of `runpass up`", hint="add --up")
    restore_parts(settings, path, key, contents)
    return contents


def restore_parts(settings: ServerSettings, path: Path, key: FileKey, contents: Contents) -> None:
    """Put back master keys and database of a verified backup."""
    files = contents.files
    prepare_directory(settings.data_dir)
    make_private(settings.database_url)
    database = open_database(settings.database_url)
    try:
        require_empty(database)
        if MASTER_KEY in files:
            _place_keys(settings, files)
        restore_database(database, path, key, contents)
    finally:
        database.close()


def _master_keys(settings: ServerSettings) -> list[tuple[str, bytes]]:
    found = [(MASTER_KEY, _bytes_of(settings.master_key, settings.master_key_file))]
    if settings.previous_master_key is not None or settings.previous_master_key_file is not None:
        previous = _bytes_of(settings.previous_master_key, settings.previous_master_key_file)
        found.append((PREVIOUS_MASTER_KEY, previous))
    return found


def _bytes_of(value: Secret | None, file: Path | None) -> bytes:
    if value is not None:
        return bytes.fromhex(value.reveal())
    if file is None:
        raise ConfigurationError("master_key_file or master_key is required")
    return file.read_bytes()


def _place_keys(settings: ServerSettings, files: Mapping[str, bytes]) -> None:
    master = files[MASTER_KEY]
    if settings.master_key is not None or settings.master_key_file is None:
        if Cipher(master).key_id not in open_cipher(settings).key_ids:
            raise ConfigurationError(
                f"the backup needs master key {Cipher(master).key_id}, which is not the one in the settings",
                hint="leave RUNPASS_MASTER_KEY out, so that the key goes into a file",
            )
        return
    place_file(settings.master_key_file, master)
    if PREVIOUS_MASTER_KEY in files:
        where = settings.previous_master_key_file or settings.master_key_file.with_name(PREVIOUS_MASTER_KEY)
        place_file(where, files[PREVIOUS_MASTER_KEY])
