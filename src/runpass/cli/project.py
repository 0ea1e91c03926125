"""`runpass project`."""

from typing import Annotated

import typer

from runpass.cli.connecting import connected, identify
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, print_rows

app = typer.Typer(help="List, make and delete projects.")


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List the projects that the API key may see."""
    with connected() as api:
        found = api.of_organization("/projects")
    if as_json:
        print_json(found)
        return
    names = {item["id"]: item["name"] for item in found}
    rows = [item | {"parent": names.get(item["parentProjectId"], item["parentProjectId"])} for item in found]
    print_rows(rows, {"Name": "name", "Id": "id", "Parent": "parent", "Created": "createdAt"})


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Its name.")],
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    parent: Annotated[str | None, typer.Option(metavar="PROJECT", help="Project that it stands below.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a project; prints its id."""
    with connected() as api:
        body = {
            "name": name,
            "organizationId": api.organization_id,
            "description": description,
            "parentProjectId": identify(api, "project", parent) if parent else None,
        }
        made = api.one("POST", "/projects", body=body)
    print_json(made) if as_json else typer.echo(made["id"])


@app.command()
def delete(project: Annotated[str, typer.Argument(help="Project, by name or id.")]) -> None:
    """Delete a project that nothing points at any more."""
    with connected() as api:
        api.delete("/projects", identify(api, "project", project))
