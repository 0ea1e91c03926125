"""`runpass template`: what a deployment runs."""

from typing import Annotated

import typer

from runpass.cli.connecting import connected, identify
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, print_rows

app = typer.Typer(help="List, make, attach and delete templates.")

Which = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Template, by name or id.")]
Project = Annotated[str, typer.Argument(metavar="PROJECT", help="Project, by name or id.")]


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List templates."""
    with connected() as api:
        found = api.of_organization("/blueprints")
    if as_json:
        print_json(found)
        return
    rows = [item | {"count": len(item["commands"]), "projects": len(item["projectIds"])} for item in found]
    columns = {"Name": "name", "Id": "id", "Type": "type", "Commands": "count", "Projects": "projects"}
    print_rows(rows, columns | {"Changed": "updatedAt"})


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Its name.")],
    command: Annotated[list[str], typer.Option(help="A shell command; repeat it for the next one.")],
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    attach: Annotated[
        list[str] | None, typer.Option(metavar="PROJECT", help="Let this project run it; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a template of type shell; prints its id."""
    with connected() as api:
        projects = [identify(api, "project", item) for item in attach or ()]
        body = {
            "name": name,
            "type": "shell",
            "commands": command,
            "description": description,
            "organizationId": api.organization_id,
        }
        made = api.one("POST", "/blueprints", body=body)
        for project_id in projects:
            made = api.one("PATCH", "/blueprints", made["id"], "projects", body={"projectId": project_id})
    print_json(made) if as_json else typer.echo(made["id"])


@app.command()
def attach(template: Which, project: Project, *, as_json: AsJson = False) -> None:
    """Let a project run a template."""
    with connected() as api:
        body = {"projectId": identify(api, "project", project)}
        made = api.one("PATCH", "/blueprints", identify(api, "template", template), "projects", body=body)
    if as_json:
        print_json(made)


@app.command()
def detach(template: Which, project: Project) -> None:
    """Take a template away from a project."""
    with connected() as api:
        project_id = identify(api, "project", project)
        api.delete("/blueprints", identify(api, "template", template), "projects", project_id)


@app.command()
def delete(template: Which) -> None:
    """Delete a template; environments that were made from it stay."""
    with connected() as api:
        api.delete("/blueprints", identify(api, "template", template))
