"""`runpass audit`: verify, prune and export the audit trail, straight in the server's database."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from runpass.cli.exits import BROKEN_TRAIL
from runpass.cli.on_the_server import operator, server_database
from runpass.cli.options import AsJson, SettingsFile
from runpass.cli.output import print_json, print_rows, say
from runpass.cli.programs import DatabaseUrl, DataDir
from runpass.clock import SYSTEM_CLOCK
from runpass.errors import InvalidInput

if TYPE_CHECKING:
    from runpass.server.trail.store import Mark
    from runpass.server.trail.verifying import ChainReport

app = typer.Typer(help="Verify, prune and export the audit trail, where the server's database is.")
_COLUMNS = {
    "Chain": "chain",
    "Events": "events",
    "First": "firstSequence",
    "Last": "lastSequence",
    "Pruned": "checkpointSequence",
    "Holds": "holds",
}


@app.command()
def verify(
    *,
    known: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="What an earlier `verify --json` printed: compare with it."),
    ] = None,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Verify every chain of the audit trail; the exit code is 9 when one does not hold. The server may be running."""
    expected = _known(known) if known else {}
    with server_database(settings, data_dir, database_url) as database:
        from runpass.server.trail.verifying import verify as verify_chains

        reports = verify_chains(database, expected)
    found = [_shown(report) for report in reports]
    if as_json:
        print_json(found)
    else:
        print_rows(found, _COLUMNS)
    for item in found:
        if item["fault"] is not None:
            say(f"chain {item['chain']}: event {item['badSequence']} {item['fault']}")
    if not all(item["holds"] for item in found):
        raise typer.Exit(BROKEN_TRAIL)


@app.command()
def prune(
    *,
    before: Annotated[str, typer.Option(metavar="DATE", help="2026-01-31, or with a time: 2026-01-31T12:00:00Z.")],
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Delete the events before a date. Each chain keeps a checkpoint that the rest is verified from."""
    moment = _moment(before)
    with server_database(settings, data_dir, database_url) as database:
        from runpass.server.trail.pruning import prune as prune_chains

        gone = prune_chains(database, moment, actor=operator(), clock=SYSTEM_CLOCK)
    typer.echo(f"{sum(gone.values())} events deleted")


@app.command()
def export(
    *,
    organization: Annotated[UUID | None, typer.Option(metavar="ID", help="Only the events of this one.")] = None,
    settings: SettingsFile = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print the events as one JSON object per line, oldest first. The export itself is recorded first."""
    with server_database(settings, data_dir, database_url) as database:
        from runpass.server.trail.exporting import export as export_events

        for line in export_events(database, organization, actor=operator(), clock=SYSTEM_CLOCK):
            print_json(line)


def _known(file: Path) -> "dict[UUID, Mark]":
    """Give the places that the chains had when `verify --json` printed this file."""
    from runpass.server.trail.store import Mark

    try:
        items = json.loads(file.read_bytes())
        return {UUID(item["chain"]): Mark(int(item["lastSequence"]), bytes.fromhex(item["head"])) for item in items}
    except OSError as error:
        raise InvalidInput(f"--known cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput("--known is not what `runpass audit verify --json` prints") from error


def _shown(report: "ChainReport") -> dict[str, Any]:
    fault, checkpoint = report.fault, report.checkpoint
    return {
        "chain": str(report.chain),
        "events": report.events,
        "firstSequence": report.first_seq,
        "lastSequence": report.last.seq,
        "head": report.last.hash.hex(),
        "checkpointSequence": checkpoint.mark.seq if checkpoint else None,
        "holds": fault is None,
        "fault": fault.what if fault else None,
        "badSequence": fault.seq if fault else None,
        "badEventId": str(fault.event_id) if fault and fault.event_id else None,
    }


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput.of("--before", "must be a date, or a date and a time (ISO 8601)") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
