"""`runpass variable`: what jobs find in their environment."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpass.cli.connecting import Answer, as_id, choose, connected, identify
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, print_rows
from runpass.cli.secret_files import read_secret
from runpass.errors import InvalidInput

if TYPE_CHECKING:
    from runpass.api_client import ApiClient

app = typer.Typer(help="List, set and delete variables.")

InProject = Annotated[str | None, typer.Option("--project", metavar="PROJECT", help="At this project.")]
InTemplate = Annotated[str | None, typer.Option("--template", metavar="TEMPLATE", help="At this template.")]
InEnvironment = Annotated[str | None, typer.Option("--environment", metavar="ENVIRONMENT", help="At this environment.")]
ENVIRONMENT_VARIABLE, TERRAFORM_VARIABLE = 0, 1
_QUERY = {"ENVIRONMENT": "environmentId", "PROJECT": "projectId", "BLUEPRINT": "blueprintId"}


@app.command("list")
def list_all(
    *,
    project: InProject = None,
    template: InTemplate = None,
    environment: InEnvironment = None,
    as_json: AsJson = False,
) -> None:
    """List the variables of a place and of all it inherits from; without a place the organization's."""
    with connected() as api:
        found = _inherited(api, *_place(api, project, template, environment))
    if as_json:
        print_json(found)
        return
    rows = [item | {"where": item["scope"].lower(), "kind": _kind(item)} for item in found]
    print_rows(rows, {"Name": "name", "Value": "value", "Where": "where", "Kind": "kind", "Id": "id"})


@app.command("set")
def set_one(  # noqa: PLR0913 -- one parameter for each option
    name: Annotated[str, typer.Argument(help="The variable's name.")],
    *,
    value: Annotated[str | None, typer.Option(help="Its value; not for a sensitive one.")] = None,
    value_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File with the value; one newline at its end is dropped.")
    ] = None,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="Encrypt it, never show it; read from --value-file or standard input.")
    ] = False,
    terraform: Annotated[bool, typer.Option("--terraform", help="A Terraform variable.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="No lower place may override it.")] = False,
    required: Annotated[bool, typer.Option("--required", help="Without a value nothing is deployed.")] = False,
    regex: Annotated[str | None, typer.Option(help="What the whole value must match (RE2).")] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    project: InProject = None,
    template: InTemplate = None,
    environment: InEnvironment = None,
    as_json: AsJson = False,
) -> None:
    """Set a variable at one place; one of the same name there is replaced. Without a place: the organization's."""
    if sensitive and value is not None:
        raise InvalidInput(
            "--value is not for sensitive variables: arguments can be seen by other users",
            hint="leave it out and give the value on standard input, or use --value-file",
        )
    if value is not None and value_file is not None:
        raise InvalidInput("--value and --value-file exclude one another")
    text = value if value is not None else read_secret(value_file, "value").reveal()
    with connected() as api:
        scope, place = _place(api, project, template, environment)
        body = {
            "name": name,
            "value": text,
            "scope": scope,
            "scopeId": place,
            "organizationId": api.organization_id,
            "type": TERRAFORM_VARIABLE if terraform else ENVIRONMENT_VARIABLE,
            "isSensitive": sensitive,
            "isReadonly": read_only,
            "isRequired": required,
            "regex": regex,
            "description": description,
        }
        saved = api.post_all("/configuration", [body])[0]
    print_json(saved) if as_json else typer.echo(saved["id"])


@app.command()
def delete(
    variable: Annotated[str, typer.Argument(help="Variable, by id, or by name together with its place.")],
    *,
    project: InProject = None,
    template: InTemplate = None,
    environment: InEnvironment = None,
) -> None:
    """Delete a variable."""
    with connected() as api:
        known = as_id(variable)
        if known is None:
            scope, place = _place(api, project, template, environment)
            here = [item for item in _inherited(api, scope, place) if _stands_at(item, scope, place)]
            known = str(choose(here, variable, "variable")["id"])
        api.delete("/configuration", known)


def _place(
    api: "ApiClient", project: str | None, template: str | None, environment: str | None
) -> tuple[str, str | None]:
    """Give scope and scope id; a project with an environment says where to look for the environment's name."""
    if template is not None and (project is not None or environment is not None):
        raise InvalidInput("say one place: --template goes with no other")
    project_id = identify(api, "project", project) if project is not None else None
    if environment is not None:
        return "ENVIRONMENT", identify(api, "environment", environment, project=project_id)
    if template is not None:
        return "BLUEPRINT", identify(api, "template", template)
    return ("GLOBAL", None) if project_id is None else ("PROJECT", project_id)


def _inherited(api: "ApiClient", scope: str, place: str | None) -> list[Answer]:
    query = {_QUERY[scope]: place} if scope in _QUERY else {}
    return api.of_organization("/configuration", **query)


def _stands_at(item: Answer, scope: str, place: str | None) -> bool:
    return (item["scope"], item["scopeId"]) == (scope, place)


def _kind(item: Answer) -> str:
    marks = {"isSensitive": "sensitive", "isReadonly": "read-only", "isRequired": "required"}
    kind = "terraform" if item["type"] == TERRAFORM_VARIABLE else "environment"
    return ", ".join([kind, *(word for field, word in marks.items() if item[field])])
