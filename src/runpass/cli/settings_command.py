"""`runpass settings show`: every setting, its value, and where it came from."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from runpass.cli.options import AsJson, SettingsFile
from runpass.cli.output import print_json, print_rows, say
from runpass.errors import ConfigurationError, InvalidInput

app = typer.Typer(help="Show what the programs are set to.")


class Program(StrEnum):
    """Whose settings."""

    SERVER = "server"
    RUNNER = "runner"
    CLIENT = "client"


@app.command()
def show(
    *,
    program: Annotated[Program | None, typer.Option(help="Whose settings. Default: all three.")] = None,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show every setting, its value and where it came from; secrets as a placeholder."""
    if settings is not None and program is None:
        raise InvalidInput("--settings needs --program: the programs have settings files of their own")
    rows: list[dict[str, str]] = []
    refused: ConfigurationError | None = None
    for which in Program if program is None else (program,):
        try:
            shown = _load(which, settings).shown()
        except ConfigurationError as error:
            refused = error
            if not as_json and program is None:
                say(f"{which.value}: {error.message}")
            continue
        rows += [{"program": which.value, "name": name, "value": value, "source": src} for name, value, src in shown]
    if refused is not None and (program is not None or not rows):
        raise refused
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, {"Program": "program", "Setting": "name", "Value": "value", "From": "source"})


@app.callback()
def _group() -> None:
    """Show what the programs are set to."""


def _load(which: Program, file: Any) -> Any:
    match which:
        case Program.SERVER:
            from runpass.server.settings import load_settings as load_server

            return load_server(file=file)
        case Program.RUNNER:
            from runpass.runner.settings import load_settings as load_runner

            return load_runner(file=file)
        case Program.CLIENT:
            from runpass.cli.settings import load_settings as load_client

            return load_client(file=file)
