"""`runpass backup` and `runpass restore`: a whole installation in one sealed file."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpass.cli.on_the_server import database_of, operator, server_settings
from runpass.cli.options import AsJson, SettingsFile
from runpass.cli.output import print_json, say
from runpass.cli.programs import DatabaseUrl, DataDir
from runpass.cli.secret_files import read_private_secret
from runpass.clock import SYSTEM_CLOCK
from runpass.errors import InvalidInput

if TYPE_CHECKING:
    from runpass.local.up import UpOptions
    from runpass.server.keeping.sealed_stream import FileKey

SHORTEST_PASSPHRASE = 16
_Backup = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The backup.")]
_PassphraseFile = Annotated[
    Path | None, typer.Option(metavar="FILE", dir_okay=False, help="File (0600) with the passphrase.")
]
_KeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", dir_okay=False, help="File (0600) with a key: 64 hex digits.")
]
_Up = Annotated[bool, typer.Option("--up", help="All of `runpass up`: server, runner's key, and its OpenBao.")]
_Data = Annotated[Path | None, typer.Option(file_okay=False, resolve_path=True, help="With --up: its data directory.")]
_Keys = Annotated[
    Path | None, typer.Option(file_okay=False, resolve_path=True, help="With --up: its directory of keys.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(  # noqa: PLR0913 -- one parameter for each option
    file: _Backup,
    *,
    passphrase_file: _PassphraseFile = None,
    key_file: _KeyFile = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave the master key out.")] = False,
    up: _Up = False,
    data: _Data = None,
    keys: _Keys = None,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write database and keys into a new file, sealed. Everything may be running; it is one moment of the database."""
    _one_place(up=up, of_up=(data, keys), of_server=(settings, data_dir, database_url))
    key = _file_key(passphrase_file, key_file, is_new=True)
    if up:
        from runpass.local.up_backup import back_up

        if without_keys:
            raise InvalidInput("--without-keys goes without --up: nothing of it opens without its keys")
        done = back_up(_options(data, keys), file, key, SYSTEM_CLOCK, operator())
    else:
        from runpass.server.keeping.server_backup import back_up_server

        loaded = server_settings(settings, data_dir, database_url)
        with database_of(loaded) as database:
            done = back_up_server(
                loaded, database, file, key, clock=SYSTEM_CLOCK, actor=operator(), keys=not without_keys
            )
    shown = {"file": str(file), "bytes": done.size_bytes, "revision": done.manifest.revision}
    if as_json:
        print_json(shown | {"madeAt": done.manifest.made_at, "masterKeyIds": list(done.manifest.master_key_ids)})
    else:
        typer.echo(f"{file}: {done.size_bytes} bytes, of revision {done.manifest.revision}")
        say("Keep its passphrase or key elsewhere: without it nobody can open the file.")


def restore(  # noqa: PLR0913 -- one parameter for each option
    file: _Backup,
    *,
    passphrase_file: _PassphraseFile = None,
    key_file: _KeyFile = None,
    up: _Up = False,
    data: _Data = None,
    keys: _Keys = None,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup into an empty place, once all of it is verified. No server may be running on it."""
    _one_place(up=up, of_up=(data, keys), of_server=(settings, data_dir, database_url))
    key = _file_key(passphrase_file, key_file, is_new=False)
    if up:
        from runpass.local.up_backup import restore as restore_up

        options = _options(data, keys)
        contents, place = restore_up(options, file, key), f"{options.data} and {options.keys}"
    else:
        from runpass.server.keeping.server_backup import restore_server

        loaded = server_settings(settings, data_dir, database_url)
        contents, place = restore_server(loaded, file, key), str(loaded.data_dir)
    from runpass.server.db.migrate import head

    rows, revision = sum(contents.rows.values()), contents.manifest.revision
    shown: dict[str, Any] = {"rows": rows, "revision": revision, "madeAt": contents.manifest.made_at}
    if as_json:
        print_json(shown | {"masterKeyIds": list(contents.manifest.master_key_ids), "keys": bool(contents.files)})
        return
    typer.echo(f"{rows} rows of revision {revision}, as they were at {contents.manifest.made_at}")
    say(f"Restored into {place}.")
    if revision != head():
        say("The schema is an earlier one: run runpass migrate before the server.")
    if not contents.files:
        say(f"The backup holds no keys: the server needs master key {' and '.join(contents.manifest.master_key_ids)}.")
    say("The first server ends what was unfinished then. What is left to you: docs/how-to/back-up-and-restore.md")


def _one_place(*, up: bool, of_up: Iterable[object], of_server: Iterable[object]) -> None:
    """Refuse options that would be ignored: whoever names a place must not find the keys in another one."""
    if up and any(item is not None for item in of_server):
        raise InvalidInput(
            "--settings, --data-dir and --database-url go without --up", hint="with it: --data and --keys"
        )
    if not up and any(item is not None for item in of_up):
        raise InvalidInput("--data and --keys go with --up", hint="without it: --settings, or --data-dir")


def _options(data: Path | None, keys: Path | None) -> "UpOptions":
    from runpass.local.up import UpOptions, default_directories

    usual_data, usual_keys = default_directories()
    return UpOptions(data=data or usual_data, keys=keys or usual_keys)


def _file_key(passphrase_file: Path | None, key_file: Path | None, *, is_new: bool) -> "FileKey":
    from runpass.server.keeping.sealed_stream import KEY_BYTES, FileKey

    if (passphrase_file is None) == (key_file is None):
        raise InvalidInput("give either --passphrase-file or --key-file")
    if passphrase_file is not None:
        passphrase = read_private_secret(passphrase_file, "passphrase")
        if is_new and len(passphrase.reveal()) < SHORTEST_PASSPHRASE:
            raise InvalidInput(f"the passphrase must have at least {SHORTEST_PASSPHRASE} characters")
        return FileKey(passphrase, is_passphrase=True)
    assert key_file is not None  # noqa: S101 -- as was checked above
    secret = read_private_secret(key_file, "key")
    try:
        is_key = len(bytes.fromhex(secret.reveal())) == KEY_BYTES
    except ValueError:
        is_key = False
    if not is_key:
        raise InvalidInput(
            f"the key file must hold {KEY_BYTES * 2} hex digits", hint="make one with: openssl rand -hex 32"
        )
    return FileKey(secret, is_passphrase=False)
