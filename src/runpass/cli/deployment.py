"""`runpass deployment`."""

from typing import TYPE_CHECKING, Annotated

import typer

from runpass.cli.connecting import as_id, connected, identify
from runpass.cli.exits import NOT_SUCCESSFUL, WAITS_FOR_APPROVAL
from runpass.cli.following import SUCCESS, LogPrinter, print_deployment, until_at_rest, waits_for_approval
from runpass.cli.options import AsJson, InProject
from runpass.cli.output import print_json, print_rows
from runpass.errors import InvalidInput

if TYPE_CHECKING:
    from runpass.api_client import ApiClient

app = typer.Typer(help="Start, watch and stop deployments.")

Which = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="The deployment's id.")]
Environment = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Environment, by name or id.")]
ROUTE = "/environments/deployments"


@app.command()
def start(  # noqa: PLR0913 -- one parameter for each option
    environment: Environment,
    *,
    project: InProject = None,
    comment: Annotated[str | None, typer.Option(help="Why it is started.")] = None,
    revision: Annotated[str | None, typer.Option(help="The revision to deploy.")] = None,
    pool: Annotated[str | None, typer.Option(help="Pool whose runners may take it.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; exit code 0 only on SUCCESS.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Print its log while it runs, and wait.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue a deployment; prints its id."""
    if follow and as_json:
        raise InvalidInput("--follow and --json exclude one another", hint="use --wait --json")
    with connected() as api:
        in_project = identify(api, "project", project) if project else None
        target = identify(api, "environment", environment, project=in_project)
        body = {"comment": comment, "blueprintRevision": revision, "runnerPool": pool}
        queued = api.one("POST", "/environments", target, "deployments", body=body)
        if wait or follow:
            _end(api, queued["id"], follow=follow, as_json=as_json)
        print_json(queued) if as_json else typer.echo(queued["id"])


@app.command()
def show(deployment: Which, *, as_json: AsJson = False) -> None:
    """Show a deployment, and why it failed."""
    with connected() as api:
        found = api.one("GET", ROUTE, _id(deployment))
    print_json(found) if as_json else print_deployment(found)


@app.command("list")
def list_all(
    environment: Environment,
    *,
    project: InProject = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List an environment's deployments, newest first."""
    with connected() as api:
        in_project = identify(api, "project", project) if project else None
        target = identify(api, "environment", environment, project=in_project)
        found = api.many("/environments", target, "deployments", limit=limit)
    if as_json:
        print_json(found)
        return
    columns = {"Id": "id", "Status": "status", "Type": "type", "Queued": "queuedAt", "Finished": "finishedAt"}
    print_rows(found, columns | {"Comment": "comment"})


@app.command()
def log(
    deployment: Which,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until it has ended or waits for an approval.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print every step with its lines; what could confuse a terminal is shown escaped."""
    if follow and as_json:
        raise InvalidInput("--follow and --json exclude one another")
    with connected() as api:
        printer = LogPrinter(api, _id(deployment))
        if as_json:
            print_json(printer.everything())
        elif follow:
            if waits_for_approval(printer.follow()):
                raise typer.Exit(WAITS_FOR_APPROVAL)
        else:
            printer.print_once()


@app.command()
def wait(deployment: Which, *, as_json: AsJson = False) -> None:
    """Wait until a deployment has ended or waits for an approval; exit code 0 only on SUCCESS."""
    with connected() as api:
        _end(api, _id(deployment), follow=False, as_json=as_json)


@app.command()
def approve(deployment: Which, *, as_json: AsJson = False) -> None:
    """Approve the plan of a deployment that waits for it."""
    with connected() as api:
        changed = api.one("PUT", ROUTE, _id(deployment))
    print_json(changed) if as_json else typer.echo(changed["status"])


@app.command()
def cancel(deployment: Which, *, as_json: AsJson = False) -> None:
    """Cancel a deployment that no runner has taken yet, or whose plan waits for an approval."""
    with connected() as api:
        changed = api.one("PUT", ROUTE, _id(deployment), "cancel")
    print_json(changed) if as_json else typer.echo(changed["status"])


@app.command()
def abort(deployment: Which, *, as_json: AsJson = False) -> None:
    """Abort a deployment that is going on."""
    with connected() as api:
        changed = api.one("POST", ROUTE, _id(deployment), "abort")
    print_json(changed) if as_json else typer.echo(changed["status"])


def _id(text: str) -> str:
    known = as_id(text)
    if known is None:
        raise InvalidInput("a deployment has no name: say its id", hint="runpass deployment list ENVIRONMENT")
    return known


def _end(api: "ApiClient", deployment_id: str, *, follow: bool, as_json: bool) -> None:
    """Wait for the end or for an approval, print it, and leave with the exit code that it means."""
    ended = LogPrinter(api, deployment_id).follow() if follow else until_at_rest(api, deployment_id)
    print_json(ended) if as_json else print_deployment(ended)
    if waits_for_approval(ended):
        raise typer.Exit(WAITS_FOR_APPROVAL)
    raise typer.Exit(0 if ended["status"] == SUCCESS else NOT_SUCCESSFUL)
