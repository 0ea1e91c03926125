"""Commands of the operator, straight in the server's database: whoever can run them has the machine anyway."""

import os
import pwd
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runpass.cli.programs import without_password
from runpass.errors import ConfigurationError

if TYPE_CHECKING:
    from runpass.server.db.encryption import Cipher
    from runpass.server.db.engine import Database
    from runpass.server.settings import ServerSettings


@contextmanager
def server_database(settings: Path | None, data_dir: Path | None, database_url: str | None) -> "Iterator[Database]":
    """Give the server's database, which is there already and has this version's schema."""
    with database_of(server_settings(settings, data_dir, database_url)) as database:
        yield database


def server_settings(settings: Path | None, data_dir: Path | None, database_url: str | None) -> "ServerSettings":
    """Give the settings of the server on this machine, as the server itself reads them."""
    from runpass.server.settings import load_settings

    return load_settings(file=settings, data_dir=data_dir, database_url=without_password(database_url)).settings


@contextmanager
def database_of(loaded: "ServerSettings") -> "Iterator[Database]":
    """Give the database that the settings name, which is there already and has this version's schema."""
    from runpass.observability.logging import told_on_standard_error
    from runpass.server.db.engine import open_database
    from runpass.server.db.migrate import current, head

    file = Path(loaded.database_url.removeprefix("sqlite:///"))
    if loaded.database_url.startswith("sqlite:///") and not file.exists():
        raise ConfigurationError(f"there is no database at {file}", hint="name the server's --data-dir or --settings")
    with told_on_standard_error(), closing(open_database(loaded.database_url)) as database:
        now = current(database)
        if now != head():
            message = f"the database is at revision {now or 'none'}, this version needs {head()}"
            raise ConfigurationError(message, hint="run: runpass migrate")
        yield database


@contextmanager
def opened_server(loaded: "ServerSettings") -> "Iterator[tuple[Database, Cipher]]":
    """Give the server's database, and what opens the sealed columns in it: for commands that work with keys."""
    from runpass.server.opening import cipher_of

    with database_of(loaded) as database:
        yield database, cipher_of(loaded, database)


def operator() -> str:
    """Give the name of whoever runs this command; the machine's administrator decides who that may be."""
    try:
        return f"operator:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"operator:{os.getuid()}"
