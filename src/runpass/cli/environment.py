"""`runpass environment`."""

from typing import TYPE_CHECKING, Annotated

import typer

from runpass.cli.connecting import Answer, connected, identify, list_environments
from runpass.cli.options import AsJson, InProject
from runpass.cli.output import print_json, print_pairs, print_rows
from runpass.errors import InvalidInput

if TYPE_CHECKING:
    from runpass.api_client import ApiClient

app = typer.Typer(help="List, make, change and destroy environments.")

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
        found = api.one("GET", "/environments", _id(api, environment, project))
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
            "Ends": found.get("lifespanEndAt"),
            "Archived": "yes" if found["isArchived"] else "no",
            "Latest deployment": latest.get("id"),
            "Its status": latest.get("status"),
            "Created": found["createdAt"],
        }
    )


@app.command()
def destroy(
    environment: Which,
    *,
    project: InProject = None,
    comment: Annotated[str | None, typer.Option(help="Why it is destroyed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Queue the destruction of what an environment deployed; prints the deployment's id."""
    with connected() as api:
        target = _id(api, environment, project)
        queued = api.one("POST", "/environments", target, "destroy", body={"comment": comment})
    print_json(queued) if as_json else typer.echo(queued["id"])


@app.command()
def archive(
    environment: Which,
    *,
    project: InProject = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take it out of the archive again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Archive an environment: what is queued is cancelled, what was deployed stays."""
    with connected() as api:
        target = _id(api, environment, project)
        changed = api.one("PUT", "/environments", target, body={"isArchived": not undo})
    print_json(changed) if as_json else typer.echo(changed["id"])


@app.command()
def ttl(
    environment: Which,
    *,
    project: InProject = None,
    hours: Annotated[int | None, typer.Option(min=1, help="It ends in so many hours.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="It ends then: ISO 8601.")] = None,
    infinite: Annotated[bool, typer.Option("--infinite", help="It does not end by itself.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide when an environment is destroyed by itself; prints that moment."""
    said = [hours is not None, until is not None, infinite]
    if said.count(True) != 1:
        raise InvalidInput("say one of --hours, --until and --infinite")
    wanted = {"type": "INFINITE"}
    if hours is not None:
        wanted = {"type": "HOURS", "value": str(hours)}
    elif until is not None:
        wanted = {"type": "DATE", "value": until}
    with connected() as api:
        changed = api.one("PUT", "/environments", _id(api, environment, project), "ttl", body=wanted)
    print_json(changed) if as_json else typer.echo(changed["lifespanEndAt"] or "never")


@app.command()
def move(
    environment: Which,
    *,
    to: Annotated[str, typer.Option("--to", metavar="PROJECT", help="Project that it moves to, by name or id.")],
    project: InProject = None,
    as_json: AsJson = False,
) -> None:
    """Move an environment with its variables into another project, which must have its template."""
    with connected() as api:
        target = _id(api, environment, project)
        body = {"projectId": identify(api, "project", to)}
        moved = api.one("POST", "/environments", target, "move", body=body)
    print_json(moved) if as_json else typer.echo(moved["id"])


def _id(api: "ApiClient", environment: str, project: str | None) -> str:
    in_project = identify(api, "project", project) if project else None
    return identify(api, "environment", environment, project=in_project)
