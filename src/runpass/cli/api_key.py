"""`runpass api-key`."""

import json
from typing import Annotated, Literal

import typer

from runpass.cli.connecting import choose, connected, identify
from runpass.cli.options import AsJson, OutputFile
from runpass.cli.output import print_json, print_pairs, print_rows, say
from runpass.cli.secret_files import check_writable, write_secret_file
from runpass.errors import InvalidInput

app = typer.Typer(help="List, make and delete API keys.")


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List API keys."""
    with connected() as api:
        found = api.of_organization("/api-keys")
    if as_json:
        print_json(found)
        return
    columns = {"Name": "name", "Id": "id", "API key id": "apiKeyId", "Role": "organizationRole"}
    print_rows(found, columns | {"Created": "createdAt", "Last used": "lastUsedAt"})


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Its name.")],
    role: Annotated[Literal["Admin", "User"], typer.Option(help="Role on the whole organization.")] = "User",
    project_role: Annotated[
        list[str] | None,
        typer.Option(metavar="PROJECT=ROLE", help="Admin, Deployer, Planner or Viewer of a project; repeatable."),
    ] = None,
    output: OutputFile = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key; its secret is shown this once. With --output: a file for RUNPASS_API_KEY_FILE."""
    check_writable(output)
    pairs = [_project_role(item) for item in project_role or ()]
    with connected() as api:
        roles = [{"projectId": identify(api, "project", project), "projectRole": on} for project, on in pairs]
        permissions = {"organizationRole": role, "projectsPermissions": roles}
        body = {"name": name, "organizationId": api.organization_id, "permissions": permissions}
        made = api.one("POST", "/api-keys", body=body)
    if output is not None:
        key = {name: made[name] for name in ("organizationId", "apiKeyId", "apiKeySecret")}
        write_secret_file(output, json.dumps(key) + "\n")
        made.pop("apiKeySecret")
        say(f"The API key is in {output}.")
    if as_json:
        print_json(made)
        return
    secret = {"Secret": made["apiKeySecret"]} if output is None else {}
    print_pairs({"Id": made["id"], "API key id": made["apiKeyId"], **secret})
    if output is None:
        say("The secret is shown once, now. Keep it where only you can read it.")


@app.command()
def delete(key: Annotated[str, typer.Argument(metavar="KEY", help="API key, by name, id or API key id.")]) -> None:
    """Delete an API key; it stops working at once."""
    with connected() as api:
        found = api.of_organization("/api-keys")
        by_key_id = next((item for item in found if item["apiKeyId"] == key), None)
        api.delete("/api-keys", str((by_key_id or choose(found, key, "API key"))["id"]))


def _project_role(text: str) -> tuple[str, str]:
    project, separator, role = text.rpartition("=")
    if not separator or not project or not role:
        raise InvalidInput.of("--project-role", "must be PROJECT=ROLE, such as web=Deployer")
    return project, role
