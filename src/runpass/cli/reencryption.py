"""`runpass keys reencrypt`: a new master key for everything that is sealed in the database."""

from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpass.cli.exits import FOUND
from runpass.cli.on_the_server import database_of, operator, server_settings
from runpass.cli.options import AsJson, SettingsFile
from runpass.cli.output import print_json, say
from runpass.cli.programs import DatabaseUrl, DataDir
from runpass.clock import SYSTEM_CLOCK
from runpass.errors import ConfigurationError

if TYPE_CHECKING:
    from runpass.server.keeping.reencrypting import Reencrypted
    from runpass.server.settings import ServerSettings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("reencrypt")(reencrypt)


def reencrypt(
    *,
    leave_corrupt: Annotated[
        bool, typer.Option("--leave-corrupt", help="Finish although values do not open: they are lost either way.")
    ] = False,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Seal every secret column with the key in `master_key_file`, and say when the previous one can go.

    Every server must have been started with the new key as `master_key_file` and the old one as
    `previous_master_key_file`; they may go on running. It can be stopped at any moment and begun again.
    """
    loaded = server_settings(settings, data_dir, database_url)
    _check_there(loaded)
    with database_of(loaded) as database:
        from runpass.server.keeping.reencrypting import Reencryption
        from runpass.server.opening import open_cipher

        work = Reencryption(database, open_cipher(loaded), SYSTEM_CLOCK, operator(), Event().wait)
        done = work.run(leave_corrupt=leave_corrupt)
    if as_json:
        print_json(_shown(done))
    else:
        _tell(done)
    if not done.finished:
        raise typer.Exit(FOUND)


def _check_there(loaded: "ServerSettings") -> None:
    """Refuse to make the key here: servers that run already would not have it."""
    file = loaded.master_key_file
    if loaded.master_key is None and file is not None and not file.exists():
        raise ConfigurationError(
            f"the master key file {file} is not there", hint="make it, and start every server with it first"
        )


def _tell(done: "Reencrypted") -> None:
    typer.echo(f"{done.changed} values sealed again; all {done.values} looked at open")
    for line in done.corrupt:
        say(f"except: {line}")
    if not done.finished:
        say("The change is not finished: keep both keys. With --leave-corrupt it is finished all the same.")
    elif done.left_key_id is None:
        say(f"Everything is sealed with master key {done.key_id}; no other key is needed.")
    else:
        say(f"Everything is sealed with master key {done.key_id}. Take previous_master_key_file out of the settings")
        say(f"and restart the servers. Keep key {done.left_key_id} for as long as you keep backups made with it.")


def _shown(done: "Reencrypted") -> dict[str, Any]:
    return {
        "masterKeyId": done.key_id,
        "leftMasterKeyId": done.left_key_id,
        "values": done.values,
        "changed": done.changed,
        "corrupt": list(done.corrupt),
        "finished": done.finished,
    }
