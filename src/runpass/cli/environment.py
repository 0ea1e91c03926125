"""`runpass environment`."""

from typing import Annotated

import typer

from runpass.cli.connecting import Answer, connected, identify, list_environments
from runpass.cli.options import AsJson, InProject
from runpass.cli.output import print_json, print_pairs, print_rows

app = typer.Typer(help="List, make and show environments.")

Which = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Environment, by name or id.")]


@app.command("list")
def list_all(*, project: InProject = None, as_json: AsJson = False) -> None:
    """List environments, of one project or of all that the API key may see."""
    with connected() as api:
        found = list_environments(api, project=identify(api, "project", project) if project else None)
        names = {} if as_json else {item["id"]: item["name"] for item in api.of_organization("/projects")}
    if as_json:
        print_json(found)
        return
    rows = [item | {"project": names.get(item["projectId"], item["projectId"])} for item in found]
    columns = {"Name": "name", "Id": "id", "Project": "project", "Status": "status"}
    print_rows(rows, columns | {"Latest deployment": "latestDeploymentLogId"})


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Its name.")],
    project: Annotated[str, typer.Option(metavar="PROJECT", help="Project, by name or id.")],
    template: Annotated[str, typer.Option(metavar="TEMPLATE", help="Template, by name or id.")],
    workspace: Annotated[str | None, typer.Option(help="The Terraform workspace's name.")] = None,
    deploy: Annotated[bool, typer.Option("--deploy/--no-deploy", help="Queue its first deployment at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an environment; prints its id."""
    with connected() as api:
        body = {
            "name": name,
            "projectId": identify(api, "project", project),
            "deployRequest": {"blueprintId": identify(api, "template", template)},
            "workspaceName": workspace,
            "preventAutoDeploy": not deploy,
        }
        made = api.one("POST", "/environments", body=body)
    print_json(made) if as_json else typer.echo(made["id"])


@app.command()
def show(environment: Which, *, project: InProject = None, as_json: AsJson = False) -> None:
    """Show an environment and its newest deployment."""
    with connected() as api:
        in_project = identify(api, "project", project) if project else None
        found = api.one("GET", "/environments", identify(api, "environment", environment, project=in_project))
    if as_json:
        print_json(found)
        return
    latest: Answer = found.get("latestDeploymentLog") or {}
    print_pairs(
        {
            "Id": found["id"],
            "Name": found["name"],
            "Project": found["projectId"],
            "Template": found["blueprintId"],
            "Workspace": found["workspaceName"],
            "Status": found["status"],
            "Latest deployment": latest.get("id"),
            "Its status": latest.get("status"),
            "Created": found["createdAt"],
        }
    )
