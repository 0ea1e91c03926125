"""`runpass tokens`: what runs have left behind at Vaults."""

from typing import Annotated, Any

import typer

from runpass.cli.connecting import connected
from runpass.cli.exits import FOUND
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, print_rows, say
from runpass.cli.terminal import one_line

app = typer.Typer(help="See which Vault tokens of ended runs may still live.")


@app.command("outstanding")
def outstanding(
    *,
    deployment: Annotated[str | None, typer.Option(metavar="ID", help="Of this deployment alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """List Vault tokens that ended runs may have left, and identity tokens of their jobs that could still log in.

    Ends with exit code 1 unless it is known that no Vault token is left.
    """
    with connected() as api:
        found = api.one("GET", "/vault-tokens/outstanding", organizationId=api.organization_id, deploymentId=deployment)
    if as_json:
        print_json(found)
    else:
        _print(found)
    if any(found["vaultTokens"].values()) or not found["isComplete"]:
        raise typer.Exit(FOUND)


def _print(found: dict[str, Any]) -> None:
    counts = found["vaultTokens"]
    more = "" if found["isComplete"] else " There are more than one answer holds."
    say(
        f"Vault tokens of ended runs: {counts['known']} known to be outstanding, {counts['unknown']} unknown."
        f" In use: {found['inUse']}.{more}"
    )
    if found["logins"]:
        print_rows(
            [_row(login) for login in found["logins"]],
            {"Deployment": "deploymentId", "Vault": "vault", "Known": "known", "Until": "until", "Last sweep": "sweep"},
        )
    for login in found["logins"]:
        hint = (login.get("lastSweep") or {}).get("hint")
        if hint:
            typer.echo(f"{login['deploymentId']}: {one_line(hint)}")
    tokens = found["identityTokens"]
    if tokens:
        say(f"Identity tokens of jobs that could still log in where a role accepts them: {len(tokens)}.")
        print_rows(
            tokens, {"Deployment": "deploymentId", "Id": "jti", "Audience": "audience", "Until": "acceptedUntil"}
        )


def _row(login: dict[str, Any]) -> dict[str, Any]:
    sweep = login.get("lastSweep") or {}
    namespace = f" ({login['namespace']})" if login["namespace"] else ""
    return {
        "deploymentId": login["deploymentId"],
        "vault": f"{login['address']}{namespace} auth/{login['authMountPath']} {login['roleName']}",
        "known": "yes" if login["isKnown"] else "unknown",
        "until": login.get("until") or "unknown",
        "sweep": " ".join(filter(None, (sweep.get("result"), sweep.get("said")))) or "none yet",
    }


@app.callback()
def _group() -> None:
    """See which Vault tokens of ended runs may still live."""
