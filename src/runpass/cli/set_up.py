"""Telling the set-up token: on a terminal where there is one, else in a file."""

import sys
from typing import TYPE_CHECKING

import structlog
import typer

from runpass.errors import ConfigurationError
from runpass.private_files import replace_private

if TYPE_CHECKING:
    from pathlib import Path

    from runpass.secret import Secret
    from runpass.server.opening import Parts
    from runpass.server.settings import ServerSettings

_log = structlog.get_logger(__name__)


def tell_of_set_up(parts: "Parts") -> None:
    """Tell whoever starts a server how to make its first organization, if there is none."""
    from runpass.server.tenancy.setting_up import make_token

    token = make_token(parts.database, parts.clock)
    if token is None:
        return
    file = hand_over(parts.settings, token)
    if file is not None:
        _log.info("server.not_set_up", token_file=str(file), page=page_of(parts.settings))


def hand_over(settings: "ServerSettings", token: "Secret") -> "Path | None":
    """Show a token where somebody looks; else write it to a file of the data directory, and give its path.

    SECURITY: what is no terminal may be a log that many can read.
    """
    from runpass.server.tenancy.setting_up import FILE_NAME

    if sys.stdout.isatty():
        typer.echo(f"No organization yet. Make one within an hour at {page_of(settings)} with this token, once:")
        typer.echo(f"  {token.reveal()}")
        return None
    file = settings.data_dir / FILE_NAME
    try:
        replace_private(file, f"{token.reveal()}\n".encode())
    except OSError as error:
        raise ConfigurationError(f"the file {file} cannot be written: {error.strerror}") from error
    return file


def page_of(settings: "ServerSettings") -> str:
    """Give where the first organization is made."""
    return f"{settings.public_url}/console/set-up"
