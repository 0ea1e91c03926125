"""`runpass template`: what a deployment runs."""

from typing import Annotated

import typer

from runpass.cli.connecting import Answer, connected, identify
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
    rows = [item | {"code": _code(item), "projects": len(item["projectIds"])} for item in found]
    columns = {"Name": "name", "Id": "id", "Type": "type", "Code": "code", "Projects": "projects"}
    print_rows(rows, columns | {"Changed": "updatedAt"})


@app.command()
def create(  # noqa: PLR0913 -- one parameter for each option
    *,
    name: Annotated[str, typer.Option(help="Its name.")],
    kind: Annotated[str, typer.Option("--type", help="shell, terraform, opentofu, or another type of env0.")] = "shell",
    command: Annotated[
        list[str] | None, typer.Option(help="A shell command of a deploy; repeat it for the next one.")
    ] = None,
    plan_command: Annotated[
        list[str] | None, typer.Option(help="A shell command that comes before the approval; repeatable.")
    ] = None,
    destroy_command: Annotated[list[str] | None, typer.Option(help="A shell command of a destroy; repeatable.")] = None,
    repository: Annotated[str | None, typer.Option(help="Where the code is; for every type but shell.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit; without it the default branch.")] = None,
    path: Annotated[str | None, typer.Option(help="Folder in the repository.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    attach: Annotated[
        list[str] | None, typer.Option(metavar="PROJECT", help="Let this project run it; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a template; prints its id."""
    given = {
        "commands": command,
        "planCommands": plan_command,
        "destroyCommands": destroy_command,
        "repository": repository,
        "revision": revision,
        "path": path,
        "description": description,
    }
    with connected() as api:
        projects = [identify(api, "project", item) for item in attach or ()]
        body = {"name": name, "type": kind, "organizationId": api.organization_id}
        made = api.one("POST", "/blueprints", body=body | {key: value for key, value in given.items() if value})
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


def _code(item: Answer) -> str:
    if not item["repository"]:
        count = len(item["commands"])
        return "1 command" if count == 1 else f"{count} commands"
    return "".join([item["repository"], f" {item['path']}" if item["path"] else ""])
