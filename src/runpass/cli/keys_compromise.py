"""`runpass keys compromise`: what to do with a key that somebody else may have, in one command."""

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated, Final

import typer

from runpass.cli.exits import NOT_CURED
from runpass.cli.on_the_server import opened_server, operator, server_settings
from runpass.cli.options import AsJson, SettingsFile
from runpass.cli.programs import DatabaseUrl, DataDir
from runpass.clock import SYSTEM_CLOCK
from runpass.errors import ControlPlaneError, InvalidInput

if TYPE_CHECKING:
    from runpass.server.db.encryption import Cipher
    from runpass.server.db.engine import Database, Transaction
    from runpass.server.settings import ServerSettings
    from runpass.server.trail.minted import MintedToken
    from runpass.server.vault_tasks.compromise import Story

LOOK_EVERY_SECONDS: Final = 0.2
FETCH_SECONDS: Final = 10.0
Kid = Annotated[str, typer.Argument(metavar="KID", help="The key's id, as `runpass keys list --all` prints it.")]


def compromise(  # noqa: PLR0913 -- one parameter for each option
    kid: Kid,
    *,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="List tokens from then on: 2026-01-31T12:00:00Z. Else all of this key."),
    ] = None,
    patience: Annotated[
        float,
        typer.Option("--wait", min=0, max=3600, metavar="SECONDS", help="How long to wait for proxies and runners."),
    ] = 120.0,
    ca_bundle: Annotated[
        Path | None, typer.Option(dir_okay=False, help="PEM file of authorities for the public URL.")
    ] = None,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Kill a key that somebody else may have, and prove at every known Vault that it is dead. Nothing is asked first.

    Stops signing with it on all servers, signs probes that have always been expired, destroys it, starts a key that was
    never published, confirms that the public key set is without the old one, makes every known Vault fetch that, and
    shows each a probe. Then it prints what ends tokens that were obtained with the key, and what was signed with it.

    Ends with exit code 11 unless every Vault is shown to refuse the key. A command that was interrupted goes on when it
    is given again. Give it the server's own settings.
    """
    from runpass.cli.compromise_report import Report

    begin = None if since is None else _moment(since)
    loaded = server_settings(settings, data_dir, database_url)
    report = Report(as_json=as_json)
    ok = True
    with opened_server(loaded) as (database, cipher):
        story = _story(kid, loaded, (database, cipher), ca_bundle, timedelta(seconds=patience))
        for told in story.steps():
            report.step(told)
            ok = ok and told.ok
        with database.read() as tx:
            report.end(story, _minted(tx, story, begin))
    if not ok:
        raise typer.Exit(NOT_CURED)


def _story(
    kid: str,
    settings: "ServerSettings",
    opened: "tuple[Database, Cipher]",
    ca_bundle: Path | None,
    patience: timedelta,
) -> "Story":
    from runpass.server.issuer.addresses import addresses_of
    from runpass.server.issuer.compromise import Cure
    from runpass.server.opening import key_policy
    from runpass.server.vault_tasks.compromise import Around, Story

    database, cipher = opened
    around = Around(
        addresses=addresses_of(settings),
        audience=settings.audience,
        fetch_kids=lambda url: _fetch_kids(url, ca_bundle),
        pause=lambda: sleep(LOOK_EVERY_SECONDS),
        patience=patience,
    )
    return Story(Cure(database, cipher, SYSTEM_CLOCK, key_policy(settings), operator()), around, kid)


def _fetch_kids(url: str, ca_bundle: Path | None) -> Collection[str]:
    from runpass.vault.issuer_documents import fetch
    from runpass.vault.transport import Tls

    body = fetch(url, Tls(ca_bundle), timeout=FETCH_SECONDS)
    try:
        return {str(key["kid"]) for key in json.loads(body)["keys"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ControlPlaneError("what is published there is no key set") from error


def _minted(tx: "Transaction", story: "Story", since: datetime | None) -> "Iterator[MintedToken]":
    from runpass.server.issuer.store import get_record
    from runpass.server.trail.minted import minted_with

    key = get_record(tx, story.kid)
    begin = since or (key.created_at if key else SYSTEM_CLOCK.now())
    return minted_with(tx, story.kid, begin)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput.of("--since", "must be a date, or a date and a time (ISO 8601)") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
