"""`runpass project`."""

from typing import Annotated

import typer

from runpass.cli.connecting import connected, identify
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, print_rows
from runpass.errors import InvalidInput

app = typer.Typer(help="List, make, move, archive and delete projects.")
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Project, by name or id.")]


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
    columns = {"Name": "name", "Id": "id", "Parent": "parent", "Archived": "isArchived", "Created": "createdAt"}
    print_rows(rows, columns)


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
def move(
    project: ProjectArgument,
    *,
    to: Annotated[str | None, typer.Option(metavar="PROJECT", help="Project that it is to stand below.")] = None,
    to_root: Annotated[
        bool, typer.Option("--to-root", help="Take it out of the project that it stands below.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Move a project, with all below it."""
    if (to is None) != to_root:
        raise InvalidInput("say where to", hint="--to PROJECT, or --to-root")
    with connected() as api:
        target = identify(api, "project", to) if to is not None else None
        body = {"targetProjectId": target}
        moved = api.one("POST", "/projects", identify(api, "project", project), "move", body=body)
    if as_json:
        print_json(moved)


@app.command()
def archive(project: ProjectArgument) -> None:
    """Archive a project: nothing can be made, deployed or moved in it or below it."""
    _set_archived(project, is_archived=True)


@app.command()
def unarchive(project: ProjectArgument) -> None:
    """Take back that a project was archived."""
    _set_archived(project, is_archived=False)


@app.command()
def delete(project: ProjectArgument) -> None:
    """Delete a project; its environments are archived. It must have no sub-projects and no credentials of its own."""
    with connected() as api:
        api.delete("/projects", identify(api, "project", project))


def _set_archived(project: str, *, is_archived: bool) -> None:
    with connected() as api:
        found = api.one("GET", "/projects", identify(api, "project", project))
        same = {name: found[name] for name in ("name", "description", "tags")}
        api.one("PUT", "/projects", found["id"], body={**same, "isArchived": is_archived})
