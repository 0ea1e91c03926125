"""`runpass runners` and `runpass join-token`: who may take deployments."""

from typing import Annotated

import typer

from runpass.cli.connecting import connected, identify
from runpass.cli.options import AsJson, OutputFile
from runpass.cli.output import print_json, print_rows, say
from runpass.cli.secret_files import check_writable, write_secret_file

app = typer.Typer(help="List and revoke the runners that joined (`runpass runner` runs one).")
join_tokens = typer.Typer(help="Make tokens that let runners join.")


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List runners."""
    with connected() as api:
        found = api.of_organization("/runners")
    if as_json:
        print_json(found)
        return
    columns = {"Name": "name", "Id": "id", "Pool": "pool", "Isolation": "isolation", "Capacity": "capacity"}
    print_rows(found, columns | {"Version": "version", "Last seen": "lastSeenAt"})


@app.command()
def revoke(runner: Annotated[str, typer.Argument(help="Runner, by name or id.")]) -> None:
    """Revoke a runner: its key stops working at once, what it runs is lost."""
    with connected() as api:
        api.delete("/runners", identify(api, "runner", runner))


@join_tokens.command("create")
def create(
    *,
    pool: Annotated[str, typer.Option(help="Pool that the runners join.")] = "default",
    uses: Annotated[int, typer.Option(help="How many runners may join with it.")] = 1,
    lifetime: Annotated[int, typer.Option(metavar="SECONDS", help="How long it is good for.")] = 3600,
    output: OutputFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a join token; prints it, this once."""
    check_writable(output)
    with connected() as api:
        body = {"organizationId": api.organization_id, "pool": pool, "uses": uses, "lifetimeSeconds": lifetime}
        made = api.one("POST", "/runners/join-tokens", body=body)
    if output is not None:
        write_secret_file(output, made.pop("joinToken") + "\n")
        say(f"The join token is in {output}, good until {made['expiresAt']}.")
    if as_json:
        print_json(made)
    elif output is None:
        say(f"Shown once, good until {made['expiresAt']}:")
        typer.echo(made["joinToken"])


@join_tokens.callback()
def _group() -> None:
    """Make tokens that let runners join."""
