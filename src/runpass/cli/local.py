"""`runpass demo` and `runpass up`: everything on one machine."""

from pathlib import Path
from typing import Annotated

import typer

from runpass.cli.options import AsJson


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(demo)
    app.command()(up)


def demo(
    *,
    as_json: AsJson = False,
    keep: Annotated[
        bool | None, typer.Option("--keep/--no-keep", help="Keep it running at the end. Default: on a terminal.")
    ] = None,
    logs: Annotated[Path | None, typer.Option(file_okay=False, help="Where the deployments' logs are written.")] = None,
) -> None:
    """Walk the whole guide on a real OpenBao, and throw everything away."""
    from runpass.local.demo import run_demo

    raise typer.Exit(run_demo(as_json=as_json, keep=keep, logs=logs))


def up(
    *,
    data: Annotated[
        Path | None, typer.Option(file_okay=False, resolve_path=True, help="Where everything is kept.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, resolve_path=True, help="Where unseal and master keys are kept, apart from the data."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="The server's port.")] = 8440,
    openbao_port: Annotated[int, typer.Option(help="OpenBao's port.")] = 8200,
    capacity: Annotated[int, typer.Option(help="How many runs go on at once.")] = 4,
    allow_unisolated: Annotated[
        bool, typer.Option("--allow-unisolated", help="Run jobs as this user where nothing better can be had.")
    ] = False,
) -> None:
    """Run server, runner and OpenBao on this machine, for keeps."""
    from runpass.local.up import UpOptions, default_directories, run_up

    usual_data, usual_keys = default_directories()
    options = UpOptions(
        data=data or usual_data,
        keys=keys or usual_keys,
        port=port,
        openbao_port=openbao_port,
        capacity=capacity,
        allow_unisolated=allow_unisolated,
    )
    raise typer.Exit(run_up(options))
