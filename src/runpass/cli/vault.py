"""`runpass vault setup`: the Vault side of the guide, with the operator's own token."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from runpass.cli.output import say
from runpass.cli.secret_files import read_secret
from runpass.cli.vault_facts import Named, facts
from runpass.errors import FieldError, InvalidInput
from runpass.vault.desired import KV_PATH

if TYPE_CHECKING:
    from runpass.secret import Secret
    from runpass.vault.desired import DesiredState

app = typer.Typer(help="Prepare a Vault or OpenBao for runpass.")


@app.callback()
def _group() -> None:
    """Prepare a Vault or OpenBao for runpass."""


@app.command()
def setup(  # noqa: PLR0913 -- one parameter for each option
    *,
    role: Annotated[str, typer.Option(help="Role to make: the credential's role name.")],
    address: Annotated[str | None, typer.Option(help="Where the Vault answers; not needed with --print.")] = None,
    namespace: Annotated[str, typer.Option(help="Namespace; empty: the root namespace.")] = "",
    ca_bundle: Annotated[
        Path | None, typer.Option(dir_okay=False, help="PEM file of authorities for the Vault.")
    ] = None,
    mount: Annotated[str, typer.Option(help="Path of the JWT auth method, without auth/.")] = "jwt",
    kv_path: Annotated[str, typer.Option(help="KV engine that runs may read.")] = KV_PATH,
    kv_version: Annotated[int, typer.Option(min=1, max=2, help="The KV engine's version.")] = 2,
    policy: Annotated[str, typer.Option(help="Policy to make; empty: named after the KV engine.")] = "",
    credential: Annotated[
        str | None, typer.Option(help="Credential, by name or id: the server tells the facts that follow.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="The issuer URL, with its trailing slash.")] = None,
    jwks_url: Annotated[str | None, typer.Option(help="Where the Vault fetches the keys.")] = None,
    audience: Annotated[str | None, typer.Option(help="The audience. Default: the issuer without its slash.")] = None,
    organization_id: Annotated[UUID | None, typer.Option(help="The organization's id.")] = None,
    credential_id: Annotated[UUID | None, typer.Option(help="The credential's id.")] = None,
    project_id: Annotated[
        list[UUID] | None, typer.Option(help="A project that may use the credential; repeatable.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File with the operator's token. Else BAO_TOKEN or VAULT_TOKEN.")
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Replace the config of an auth method that trusts another issuer.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    print_commands: Annotated[
        bool, typer.Option("--print", help="Print the commands that do it, for an empty Vault; needs no token.")
    ] = False,
) -> None:
    """Make auth method, policy, KV engine and role as the guide says; the second time there is nothing to change."""
    from runpass.vault.desired import Guide, guide

    if address is None and not print_commands:
        raise InvalidInput("--address is required", (FieldError("--address", "is required"),))
    named = Named(issuer, jwks_url, audience, organization_id, credential_id, tuple(project_id or ()))
    found = facts(named, credential)
    if not found["project_ids"]:
        say("No project is known: the role will accept every project that may use this credential.")
    state = guide(
        Guide(
            role_name=role,
            mount=mount,
            kv_path=kv_path,
            kv_version=1 if kv_version == 1 else 2,
            policy_name=policy,
            namespace=namespace,
            **found,
        )
    )
    if print_commands:
        from runpass.vault.commands import as_bao_commands

        typer.echo(as_bao_commands(state), nl=False)
        return
    _apply(state, str(address), ca_bundle, _token(token_file), take_over=take_over, dry_run=dry_run)


def _token(file: Path | None) -> "Secret":
    """Give the operator's token: the file that was named, the environment, or what is typed."""
    from runpass.cli.settings import vault_token
    from runpass.secret import Secret

    found = vault_token() if file is None else None
    if found is None:
        found = Secret(read_secret(file, "Vault token").reveal().strip())
    if not found:
        raise InvalidInput("there is no Vault token", hint="set BAO_TOKEN or VAULT_TOKEN, or use --token-file")
    return found


def _apply(state: "DesiredState", address: str, ca_bundle: Path | None, token: "Secret", **how: Any) -> None:
    from runpass.vault.client import VaultClient
    from runpass.vault.reconcile import apply, plan

    with VaultClient(address, token=token, ca_bundle=ca_bundle) as client:
        changes = plan(client, state, take_over=how["take_over"])
        for change in changes:
            if not how["dry_run"]:
                apply(client, (change,))
            typer.echo(f"would {change}" if how["dry_run"] else f"{change}: done")
    if not changes:
        typer.echo("nothing to change")
