"""`runpass credential`: credentials and the projects they are assigned to."""

from pathlib import Path
from typing import Annotated

import typer

from runpass.cli import connection_test
from runpass.cli.connecting import Answer, connected, identify
from runpass.cli.credential_value import VAULT_OIDC, value_of
from runpass.cli.options import AsJson, InProject
from runpass.cli.output import print_json, print_rows
from runpass.errors import InvalidInput

app = typer.Typer(help="List, make, change, delete, assign and test credentials.")
app.command("test")(connection_test.try_connection)

Which = Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Credential, by name or id.")]
Project = Annotated[str, typer.Argument(metavar="PROJECT", help="Project, by name or id.")]
Kind = Annotated[str, typer.Option("--type", help="Its type, as env0 names it; all but VAULT_OIDC need --value-file.")]
ValueFile = Annotated[Path | None, typer.Option(dir_okay=False, help="A file with the whole value as JSON.")]
Address = Annotated[str | None, typer.Option(help="Where the Vault answers, as the runner reaches it.")]
Version = Annotated[str, typer.Option(help="The Vault's version; recorded only.")]
Role = Annotated[str | None, typer.Option(help="Role of the JWT auth method to log in as.")]
MountPath = Annotated[str, typer.Option("--path", help="Where the JWT auth method is mounted, without auth/.")]
Namespace = Annotated[str | None, typer.Option(help="Namespace of the auth method; empty: the root namespace.")]
SecretNamespace = Annotated[str | None, typer.Option(help="Namespace of secrets and job; else the auth method's.")]
Format = Annotated[str | None, typer.Option(help="Audience of the login token: v1 shared, v2 Vaults', or credential.")]
ServerName = Annotated[str | None, typer.Option(help="Name in the Vault's certificate, if not the address's host.")]
CaBundle = Annotated[Path | None, typer.Option(dir_okay=False, help="Authorities (PEM) to trust instead of others.")]
ClientCertificate = Annotated[Path | None, typer.Option(dir_okay=False, help="Certificate (PEM) to show to the Vault.")]
ClientKey = Annotated[Path | None, typer.Option(dir_okay=False, help="Private key (PEM) of that certificate.")]
Proxy = Annotated[str | None, typer.Option(help="HTTP proxy between runner and Vault, such as http://proxy:3128.")]
Timeout = Annotated[int | None, typer.Option(help="Seconds that one request to the Vault may take.")]
ExportToken = Annotated[bool | None, typer.Option(help="Whether the job gets the Vault's token and address.")]
SkipChildToken = Annotated[bool | None, typer.Option(help="Whether Terraform uses the token without a child of it.")]


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
    kind: Kind = VAULT_OIDC,
    value_file: ValueFile = None,
    address: Address = None,
    role: Role = None,
    path: MountPath = "jwt",
    version: Version = "",
    namespace: Namespace = None,
    secret_namespace: SecretNamespace = None,
    token_format: Format = None,
    server_name: ServerName = None,
    proxy: Proxy = None,
    timeout: Timeout = None,
    ca_bundle_file: CaBundle = None,
    client_certificate_file: ClientCertificate = None,
    client_key_file: ClientKey = None,
    export_token: ExportToken = None,
    skip_child_token: SkipChildToken = None,
    project: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="Make it for this project and those below it alone.")
    ] = None,
    assign: Annotated[list[str] | None, typer.Option(metavar="PROJECT", help="Assign it at once; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a credential; prints its id."""
    value = value_of(
        kind,
        value_file,
        {
            "address": address,
            "roleName": role,
            "jwtAuthBackendPath": path,
            "version": version,
            "namespace": namespace,
            "secretNamespace": secret_namespace,
            "tokenFormat": token_format,
            "serverName": server_name,
            "proxy": proxy,
            "timeoutSeconds": timeout,
            "exportToken": export_token,
            "skipChildToken": skip_child_token,
        },
        {"caBundle": ca_bundle_file, "clientCertificate": client_certificate_file, "clientKey": client_key_file},
    )
    with connected() as api:
        owner = identify(api, "project", project) if project else None
        assigned = [identify(api, "project", item) for item in assign or ()]
        scope = {"projectId": owner} if owner else {"organizationId": api.organization_id}
        body = {"name": name, "type": kind, "value": value, **scope}
        made = api.one("POST", "/credentials", body=body)
        for project_id in assigned:
            api.one("PUT", "/credentials/deployment", made["id"], "project", project_id)
    print_json(made) if as_json else typer.echo(made["id"])


@app.command()
def update(  # noqa: PLR0913 -- one parameter for each option
    credential: Which,
    *,
    kind: Kind = VAULT_OIDC,
    value_file: ValueFile = None,
    address: Address = None,
    role: Role = None,
    path: MountPath = "jwt",
    version: Version = "",
    namespace: Namespace = None,
    secret_namespace: SecretNamespace = None,
    token_format: Format = None,
    server_name: ServerName = None,
    proxy: Proxy = None,
    timeout: Timeout = None,
    ca_bundle_file: CaBundle = None,
    client_certificate_file: ClientCertificate = None,
    client_key_file: ClientKey = None,
    export_token: ExportToken = None,
    skip_child_token: SkipChildToken = None,
    as_json: AsJson = False,
) -> None:
    """Replace all that a credential says; the server gives none of it back, and what is left out is gone."""
    value = value_of(
        kind,
        value_file,
        {
            "address": address,
            "roleName": role,
            "jwtAuthBackendPath": path,
            "version": version,
            "namespace": namespace,
            "secretNamespace": secret_namespace,
            "tokenFormat": token_format,
            "serverName": server_name,
            "proxy": proxy,
            "timeoutSeconds": timeout,
            "exportToken": export_token,
            "skipChildToken": skip_child_token,
        },
        {"caBundle": ca_bundle_file, "clientCertificate": client_certificate_file, "clientKey": client_key_file},
    )
    with connected() as api:
        body = {"type": kind, "value": value}
        changed = api.one("PATCH", "/credentials", identify(api, "credential", credential), body=body)
    print_json(changed) if as_json else typer.echo(changed["id"])


@app.command()
def delete(credential: Which) -> None:
    """Delete a credential and its assignments."""
    with connected() as api:
        api.delete("/credentials", identify(api, "credential", credential))


@app.command("jwks-url")
def jwks_url(
    credential: Which,
    *,
    give: Annotated[bool, typer.Option("--give", help="Give the Vault one if it has none.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take it back: its fetches then name nobody.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the key set URL of a credential's Vault, and which keys the Vault is known to have.

    The same keys stand there as at the shared URL; only a fetch then tells which Vault it is. Keep it to yourself.
    """
    if give and remove:
        raise InvalidInput.of("--give", "and --remove exclude each other")
    with connected() as api:
        where = ("/credentials", identify(api, "credential", credential), "jwks-url")
        if remove:
            api.delete(*where)
            return
        found = api.one("PUT" if give else "GET", *where)
    if as_json:
        print_json(found)
        return
    typer.echo(found["jwksUrl"])
    print_rows(found["keys"], {"Key id": "keyId", "State": "state", "Vault": "standing", "At": "seenAt", "Why": "why"})


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


def _scope(item: Answer, names: dict[str, str]) -> str:
    owner = item["projectId"]
    return "organization" if owner is None else f"project {names.get(owner, owner)}"
