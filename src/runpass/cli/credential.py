"""`runpass credential`: Vault OIDC credentials and the projects they are assigned to."""

from typing import Annotated

import typer

from runpass.cli.connecting import Answer, connected, identify
from runpass.cli.options import AsJson, InProject
from runpass.cli.output import print_json, print_rows

app = typer.Typer(help="List, make, change, delete and assign Vault credentials.")

Which = Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Credential, by name or id.")]
Project = Annotated[str, typer.Argument(metavar="PROJECT", help="Project, by name or id.")]
Address = Annotated[str, typer.Option(help="Where the Vault answers, as the runner reaches it.")]
Version = Annotated[str, typer.Option(help="The Vault's version; recorded only.")]
Role = Annotated[str, typer.Option(help="Role of the JWT auth method to log in as.")]
MountPath = Annotated[str, typer.Option("--path", help="Where the JWT auth method is mounted, without auth/.")]
Namespace = Annotated[str, typer.Option(help="Namespace; empty: the root namespace.")]
KIND = "VAULT_OIDC"


@app.command("list")
def list_all(*, project: InProject = None, as_json: AsJson = False) -> None:
    """List credentials; with --project those that are assigned to exactly that project."""
    with connected() as api:
        found = api.of_organization("/credentials")
        if project is not None:
            answer = api.one("GET", "/credentials/deployment/project", identify(api, "project", project))
            assigned = set(answer["credentialIds"])
            found = [item for item in found if item["id"] in assigned]
        names = {} if as_json else {item["id"]: item["name"] for item in api.of_organization("/projects")}
    if as_json:
        print_json(found)
        return
    rows = [item | {"scope": _scope(item, names)} for item in found]
    print_rows(rows, {"Name": "name", "Id": "id", "Type": "type", "Scope": "scope", "Changed": "updatedAt"})


@app.command()
def create(  # noqa: PLR0913 -- one parameter for each option
    *,
    name: Annotated[str, typer.Option(help="Its name.")],
    address: Address,
    role: Role,
    path: MountPath = "jwt",
    version: Version = "",
    namespace: Namespace = "",
    project: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="Make it for this project and those below it alone.")
    ] = None,
    assign: Annotated[list[str] | None, typer.Option(metavar="PROJECT", help="Assign it at once; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a credential; prints its id. It holds no secret."""
    with connected() as api:
        owner = identify(api, "project", project) if project else None
        assigned = [identify(api, "project", item) for item in assign or ()]
        scope = {"projectId": owner} if owner else {"organizationId": api.organization_id}
        body = {"name": name, "type": KIND, "value": _value(address, version, role, path, namespace), **scope}
        made = api.one("POST", "/credentials", body=body)
        for project_id in assigned:
            api.one("PUT", "/credentials/deployment", made["id"], "project", project_id)
    print_json(made) if as_json else typer.echo(made["id"])


@app.command()
def update(  # noqa: PLR0913 -- one parameter for each option
    credential: Which,
    *,
    address: Address,
    role: Role,
    path: MountPath = "jwt",
    version: Version = "",
    namespace: Namespace = "",
    as_json: AsJson = False,
) -> None:
    """Replace all that a credential says; the server gives none of it back."""
    with connected() as api:
        body = {"type": KIND, "value": _value(address, version, role, path, namespace)}
        changed = api.one("PATCH", "/credentials", identify(api, "credential", credential), body=body)
    print_json(changed) if as_json else typer.echo(changed["id"])


@app.command()
def delete(credential: Which) -> None:
    """Delete a credential and its assignments."""
    with connected() as api:
        api.delete("/credentials", identify(api, "credential", credential))


@app.command()
def assign(credential: Which, project: Project, *, as_json: AsJson = False) -> None:
    """Let a project, and those below it, use a credential."""
    with connected() as api:
        made = api.one("PUT", *_assignment(identify(api, "credential", credential), identify(api, "project", project)))
    if as_json:
        print_json(made)


@app.command()
def unassign(credential: Which, project: Project) -> None:
    """Take a credential away from a project."""
    with connected() as api:
        api.delete(*_assignment(identify(api, "credential", credential), identify(api, "project", project)))


def _assignment(credential_id: str, project_id: str) -> tuple[str, ...]:
    return "/credentials/deployment", credential_id, "project", project_id


def _value(address: str, version: str, role: str, path: str, namespace: str) -> dict[str, str]:
    found = {"address": address, "version": version, "roleName": role, "jwtAuthBackendPath": path}
    return found | ({"namespace": namespace} if namespace else {})


def _scope(item: Answer, names: dict[str, str]) -> str:
    owner = item["projectId"]
    return "organization" if owner is None else f"project {names.get(owner, owner)}"
