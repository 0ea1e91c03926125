"""`runpass relying-party`: services that may ask whether a token's run is still on."""

import json
from typing import Annotated

import typer

from runpass.cli.connecting import choose, connected
from runpass.cli.options import AsJson, OutputFile
from runpass.cli.output import print_json, print_pairs, print_rows, say
from runpass.cli.secret_files import check_writable, write_secret_file

app = typer.Typer(help="List, make and delete services that may ask whether a token's run is still on.")


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List relying parties."""
    with connected() as api:
        found = api.of_organization("/relying-parties")
    if as_json:
        print_json(found)
        return
    print_rows(found, {"Name": "name", "Id": "id", "Audiences": "audiences", "Created": "createdAt"})


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Its name.")],
    audience: Annotated[list[str], typer.Option(help="It is told of tokens with this audience; repeatable.")],
    output: OutputFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a relying party; its secret is shown this once. With --output: a JSON file with id and secret."""
    check_writable(output)
    with connected() as api:
        body = {"name": name, "organizationId": api.organization_id, "audiences": audience}
        made = api.one("POST", "/relying-parties", body=body)
    if output is not None:
        write_secret_file(output, json.dumps({"id": made["id"], "secret": made.pop("secret")}) + "\n")
        say(f"Id and secret are in {output}.")
    if as_json:
        print_json(made)
        return
    secret = {"Secret": made["secret"]} if output is None else {}
    print_pairs({"Id": made["id"], **secret})
    if output is None:
        say("The secret is shown once, now. Keep it where only you can read it.")


@app.command()
def delete(
    party: Annotated[str, typer.Argument(metavar="RELYING_PARTY", help="Relying party, by name or id.")],
) -> None:
    """Delete a relying party; it is told nothing more from that moment on."""
    with connected() as api:
        found = api.of_organization("/relying-parties")
        api.delete("/relying-parties", str(choose(found, party, "relying party")["id"]))
