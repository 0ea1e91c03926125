"""`runpass server`, `runpass runner`, `runpass migrate`, `runpass version`."""

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

import typer

from runpass import __version__
from runpass.cli.options import SettingsFile
from runpass.cli.output import print_json
from runpass.errors import InvalidInput

DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="sqlite:////abs/file.db or postgresql://…, without a password (see RUNPASS_DATABASE_URL)."),
]
DataDir = Annotated[
    Path | None, typer.Option(file_okay=False, help="Where database and master key stand unless set apart.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(server)
    app.command()(runner)
    app.command()(migrate)
    app.command()(version)


def server(  # noqa: PLR0913 -- one parameter for each option
    *,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    listen_host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    listen_port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Where clients, runners and Vaults reach this server.")] = None,
    issuer_url: Annotated[str | None, typer.Option(help="The `iss` of every token, with its trailing slash.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(dir_okay=False, help="PEM certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(dir_okay=False, help="PEM file with the private key.")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes; more than one wants PostgreSQL.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    print_openapi: Annotated[bool, typer.Option("--print-openapi", help="Print the OpenAPI document and end.")] = False,
) -> None:
    """Run the server: issuer and control plane. Every setting is in docs/reference/settings.md."""
    if print_openapi:
        typer.echo(openapi_json())
        return
    from runpass.server.settings import load_settings

    loaded = load_settings(
        file=settings,
        data_dir=data_dir,
        database_url=without_password(database_url),
        listen_host=listen_host,
        listen_port=listen_port,
        public_url=public_url,
        issuer_url=issuer_url,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        workers=workers,
        log_level=log_level,
    )
    from runpass.cli.set_up import tell_of_set_up
    from runpass.server.serving import serve

    serve(loaded.settings, tell_of_set_up)


def runner(  # noqa: PLR0913 -- one parameter for each option
    *,
    settings: SettingsFile = None,
    url: Annotated[str | None, typer.Option(help="Where the server answers.")] = None,
    join_token_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File with the join token, for the first start.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the runner is called.")] = None,
    capacity: Annotated[int | None, typer.Option(help="How many runs go on at once.")] = None,
    state_dir: Annotated[Path | None, typer.Option(file_okay=False, help="Where the runner keeps its key.")] = None,
    work_dir: Annotated[Path | None, typer.Option(file_okay=False, help="Where runs have their workspaces.")] = None,
    ca_bundle: Annotated[
        Path | None, typer.Option(dir_okay=False, help="PEM file of authorities for the server and the Vaults.")
    ] = None,
    allow_unisolated: Annotated[
        bool, typer.Option("--allow-unisolated", help="Run jobs as this user where nothing better can be had.")
    ] = False,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Run a runner: it takes deployments from the server and carries them out."""
    from runpass.runner.settings import load_settings

    loaded = load_settings(
        file=settings,
        url=url,
        join_token_file=join_token_file,
        name=name,
        capacity=capacity,
        state_dir=state_dir,
        work_dir=work_dir,
        ca_bundle=ca_bundle,
        allow_unisolated=True if allow_unisolated else None,
        log_level=log_level,
    )
    from runpass.observability.logging import configure
    from runpass.runner.agent import main

    configure(loaded.settings.log_level)
    main(loaded.settings)


def migrate(*, settings: SettingsFile = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Bring the database's schema to this version. Stop every server first."""
    from runpass.server.db.engine import open_database
    from runpass.server.db.migrate import current, upgrade
    from runpass.server.settings import load_settings

    loaded = load_settings(file=settings, data_dir=data_dir, database_url=without_password(database_url)).settings
    if loaded.database_url == f"sqlite:///{loaded.data_dir / 'runpass.db'}":
        from runpass.server.opening import prepare_directory

        prepare_directory(loaded.data_dir)
    database = open_database(loaded.database_url)
    try:
        before = current(database)
        after = upgrade(database)
    finally:
        database.close()
    typer.echo(f"already at {after}" if before == after else f"{before or 'empty'} -> {after}")


def version(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        typer.echo(f"runpass {__version__}")


def openapi_json() -> str:
    """Give the OpenAPI document of the management API, with its paths as clients write them."""
    import json

    from runpass.server.app import build_api
    from runpass.server.deployments.wakeups import Wakeups

    document = build_api(None, Wakeups()).openapi()
    document["paths"] = {f"/api{path}": operations for path, operations in document["paths"].items()}
    document.pop("servers", None)  # the paths are whole now
    return json.dumps(document, indent=2, sort_keys=True)


def without_password(database_url: str | None) -> str | None:
    """Give the URL back, unless it holds a password: an argument can be seen in every process list."""
    if database_url is None:
        return None
    authority = database_url.partition("://")[2]
    user = authority.rpartition("@")[0]
    names = {name.lower() for name, _ in parse_qsl(urlsplit(database_url).query, keep_blank_values=True)}
    if ":" in user or "password" in names:
        raise InvalidInput(
            "--database-url must not hold a password: arguments can be seen by other users",
            hint="set RUNPASS_DATABASE_URL, or database_url in a settings file",
        )
    return database_url
