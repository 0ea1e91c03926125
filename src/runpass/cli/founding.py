"""`runpass init` and `runpass set-up-token`: the first organization, on the command line or in the web console."""

import json
from contextlib import closing
from typing import Annotated

import typer

from runpass.cli.on_the_server import database_of, server_settings
from runpass.cli.options import AsJson, OutputFile, SettingsFile
from runpass.cli.output import print_json, print_pairs, say
from runpass.cli.programs import DatabaseUrl, DataDir, without_password
from runpass.cli.secret_files import check_writable, write_secret_file
from runpass.errors import Conflict, InvalidInput


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("init")(init)
    app.command("set-up-token")(set_up_token)


def init(
    *,
    organization: Annotated[str, typer.Option(metavar="NAME", help="The new organization's name.")],
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    output: OutputFile = None,
    as_json: AsJson = False,
) -> None:
    """Make an organization and its admin's API key, where the server's database is. The server may be running."""
    if not organization.strip() or not organization.isprintable() or len(organization) > 255:  # noqa: PLR2004
        raise InvalidInput.of("--organization", "must be 1 to 255 printable characters")
    check_writable(output)
    from runpass.observability.logging import told_on_standard_error
    from runpass.server.opening import open_parts
    from runpass.server.settings import load_settings
    from runpass.server.tenancy.founding import found_organization

    loaded = load_settings(file=settings, data_dir=data_dir, database_url=without_password(database_url)).settings
    with told_on_standard_error(), closing(open_parts(loaded)) as parts:
        founded = found_organization(parts.database, organization, parts.clock)
    key = {
        "organizationId": str(founded.organization.id),
        "apiKeyId": founded.admin_key.key.api_key_id,
        "apiKeySecret": founded.admin_key.secret.reveal(),
    }
    if output is not None:
        write_secret_file(output, json.dumps(key) + "\n")
        say(f"The API key is in {output}: export RUNPASS_API_KEY_FILE={output}")
    elif as_json:
        print_json(key)
    else:
        names = ("Organization id", "API key id", "API key secret")
        print_pairs(dict(zip(names, key.values(), strict=True)))
        say("The secret is shown once, now. Keep it where only you can read it.")


def set_up_token(*, settings: SettingsFile = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Make a new set-up token, with which the first organization is made in the web console. The old one ends."""
    from runpass.cli.set_up import hand_over, page_of
    from runpass.clock import SYSTEM_CLOCK
    from runpass.server.tenancy.setting_up import make_token

    loaded = server_settings(settings, data_dir, database_url)
    with database_of(loaded) as database:
        token = make_token(database, SYSTEM_CLOCK, anew=True)
    if token is None:
        raise Conflict("there is an organization already", hint="its admins invite people in the web console")
    file = hand_over(loaded, token)
    if file is not None:
        say(f"The set-up token is in {file}, good for an hour: {page_of(loaded)}")
