"""`runpass keys`: signing keys, the shared issuer's if no organization is named. They are the operator's.

It works on the server's machine.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from runpass.cli.keys_compromise import compromise
from runpass.cli.kid_argument import WithKid
from runpass.cli.on_the_server import operator, server_database
from runpass.cli.options import AsJson, SettingsFile
from runpass.cli.output import print_json, print_rows, say
from runpass.cli.programs import DatabaseUrl, DataDir
from runpass.clock import SYSTEM_CLOCK
from runpass.errors import Conflict, NotFound

if TYPE_CHECKING:
    from runpass.server.issuer.keys import KeyRecord
    from runpass.server.vault_tasks.key_check_model import Confirmation

app = typer.Typer(help="List, rotate, remove, kill and export signing keys, where the server's database is.")
Kid = Annotated[str, typer.Argument(metavar="KID", help="The key's id, as `runpass keys list` prints it.")]
Of = Annotated[
    UUID | None,
    typer.Option(
        "--organization", metavar="ID", help="The keys of this organization's own issuer. Default: the shared issuer's."
    ),
]
_COLUMNS = {
    "Key id": "keyId",
    "State": "state",
    "Algorithm": "algorithm",
    "Published": "publishedAt",
    "Signs from": "activatedAt",
    "Signed until": "retiredAt",
    "Last token expires": "lastTokenExpiresAt",
    "Gone": "goneAt",
    "Rotation wanted": "rotationWantedAt",
    "Vaults": "vaults",
}


@app.command("list")
def list_(
    *,
    organization: Of = None,
    with_gone: Annotated[bool, typer.Option("--all", help="Also the keys that are gone.")] = False,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the keys and where each is in its life. The server may be running."""
    from runpass.server.issuer.store import list_records

    with server_database(settings, data_dir, database_url) as database, database.read() as tx:
        found = [_shown(key) for key in list_records(tx, organization, with_gone=with_gone)]
    if as_json:
        print_json(found)
    else:
        print_rows(found, _COLUMNS)


@app.command(cls=WithKid)
def confirmations(
    kid: Annotated[
        str | None, typer.Argument(metavar="KID", help="The key's id; left out: the upcoming key, else the active one.")
    ] = None,
    *,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say of every known Vault whether it has seen a key: `seen`, `not-confirmed`, `unknown` or `pushed-keys`.

    Only a Vault with a key set URL of its own can be seen (`runpass vault apply --own-jwks-url`).
    """
    from runpass.server.issuer.keys import SHARED
    from runpass.server.issuer.store import list_records
    from runpass.server.vault_tasks.confirmations import confirmations as of_all

    with server_database(settings, data_dir, database_url) as database, database.read() as tx:
        key = _named(list_records(tx, SHARED, with_gone=True), kid)
        found = [_confirmation(item) for item in of_all(tx, key.kid, SYSTEM_CLOCK.now())]
    if as_json:
        print_json({"key": _shown(key), "vaults": found})
        return
    say(f"{key.kid} ({key.state.value})")
    if not found:
        say("No Vault is known to trust the shared issuer. Those of an organization's own issuer cannot be told apart.")
    print_rows(
        found, {"Organization": "organizationId", "Vault": "vault", "Key": "standing", "At": "seenAt", "Why": "why"}
    )


@app.command()
def rotate(
    *,
    organization: Of = None,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Ask the server for the next key ahead of the schedule.

    A running server publishes it at once and signs with it after `key_publish_ahead_seconds`. Asking twice is asking
    once. For a key that has leaked this is not enough: see `runpass keys compromise`.
    """
    from runpass.server.issuer.key_life import want_rotation

    with server_database(settings, data_dir, database_url) as database:
        active = want_rotation(database, SYSTEM_CLOCK, organization, operator())
    if as_json:
        print_json(_shown(active))
    else:
        typer.echo(f"the successor of {active.kid} is wanted")
        say("A running server publishes it within a second; `runpass keys list` shows when it signs.")


@app.command(cls=WithKid)
def retire(
    kid: Kid,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Also while tokens that it signed are valid.")] = False,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Remove an upcoming or a retiring key ahead of its time: no longer published, its private half destroyed.

    Runs that hold a token which a retiring key signed can then not log in any more. A Vault that has fetched the key
    goes on trusting it until something makes it fetch again.
    """
    from runpass.server.issuer.key_life import removable, remove_early

    with server_database(settings, data_dir, database_url) as database:
        with database.read() as tx:
            key = removable(tx, kid)
        needed = key.last_token_expires_at
        if needed is not None and needed > SYSTEM_CLOCK.now() and not yes:
            raise Conflict(
                f"tokens that this key signed are valid until {_moment(needed)}: they would be refused",
                hint="wait until then, or add --yes",
            )
        removed = remove_early(database, SYSTEM_CLOCK, kid, operator())
    typer.echo(f"{removed.kid} is gone")
    say("Servers stop publishing it within a second. A Vault that has fetched it trusts it until it fetches again.")


app.command(cls=WithKid)(compromise)


@app.command("export-public")
def export_public(
    *,
    organization: Of = None,
    pem: Annotated[bool, typer.Option("--pem", help="Print PEM, for `jwt_validation_pubkeys`.")] = False,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print the public halves of all keys that are published, upcoming ones included: a JWK Set, or PEM."""
    from runpass.server.issuer.publishable import public_pem, publishable
    from runpass.server.issuer.store import list_records

    with server_database(settings, data_dir, database_url) as database, database.read() as tx:
        keys = list_records(tx, organization)
    for key in keys:
        if not publishable(key.public_jwk):
            say(f"{key.kid} is left out: no relying party could be sure to read it")
    published = [key.public_jwk for key in keys if publishable(key.public_jwk)]
    if pem:
        typer.echo("".join(public_pem(jwk) for jwk in published), nl=False)
    else:
        print_json({"keys": published})


def _shown(key: "KeyRecord") -> dict[str, Any]:
    return {
        "keyId": key.kid,
        "state": key.state.value,
        "algorithm": key.algorithm,
        "createdAt": _moment(key.created_at),
        "publishedAt": _moment(key.published_at),
        "activatedAt": _moment(key.activated_at),
        "retiredAt": _moment(key.retired_at),
        "lastTokenExpiresAt": _moment(key.last_token_expires_at),
        "goneAt": _moment(key.gone_at),
        "rotationWantedAt": _moment(key.rotation_wanted_at),
        "vaults": _vaults(key),
        "confirmedAt": _moment(key.confirmed_at),
    }


def _vaults(key: "KeyRecord") -> str | None:
    """Say whether the Vaults that were waited for have the key; nothing where there was nobody to wait for."""
    if not key.confirmation_awaited:
        return None
    if key.confirmed_at is not None:
        return "confirmed"
    return "not confirmed" if key.activated_at else "waiting"


def _confirmation(item: "Confirmation") -> dict[str, Any]:
    return {
        "organizationId": str(item.vault.organization_id),
        "vault": str(item.vault.place),
        "standing": item.standing.value,
        "seenAt": _moment(item.seen_at),
        "why": item.why,
        "said": item.said,
    }


def _named(keys: "list[KeyRecord]", kid: str | None) -> "KeyRecord":
    wanted = [key for key in keys if key.kid == kid] if kid else sorted(keys, key=_interest)
    if not wanted:
        raise NotFound("there is no signing key with this id", hint="run: runpass keys list --all")
    return wanted[0]


def _interest(key: "KeyRecord") -> int:
    order = ("upcoming", "active")
    return order.index(key.state.value) if key.state.value in order else len(order)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat(timespec="seconds")
