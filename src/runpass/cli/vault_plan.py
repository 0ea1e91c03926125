"""`runpass vault plan`, `apply`, `drift` and `setup`: the Vault side, with the operator's own token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from runpass.cli.exits import CHANGES, FOUND
from runpass.cli.grouped import grouped
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, say
from runpass.cli.vault_reach import Reach, reach
from runpass.cli.vault_record import record_roles
from runpass.cli.vault_wanted import Target, Wanted, wanted

if TYPE_CHECKING:
    from runpass.vault.client import VaultClient
    from runpass.vault.desired import DesiredState
    from runpass.vault.difference import Change

Form = Literal["bao", "vault", "terraform", "curl"]
PrintAs = Annotated[
    Form | None,
    typer.Option("--print", help="Print what makes it in an empty Vault, and connect to none; needs no token."),
]
PrintPolicy = Annotated[
    bool, typer.Option("--print-policy", help="Print a policy that is enough for plan, apply and drift.")
]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Replace the config of an auth method that trusts another issuer.")
]
Record = Annotated[
    bool | None,
    typer.Option(
        "--record/--no-record",
        help="Tell the server what was written, so that it can explain refusals. Default: with --credential.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]


@grouped(wanted=wanted, reach=reach)
def plan(
    *,
    wanted: Wanted,
    reach: Reach,
    take_over: TakeOver = False,
    print_as: PrintAs = None,
    print_policy: PrintPolicy = False,
    as_json: AsJson = False,
) -> None:
    """Say how a Vault differs from what should be, and change nothing. Exit code 2: there are changes."""
    target = _target(wanted, reach, offline=print_policy or print_as is not None)
    if _printed(target.state, print_as, policy=print_policy):
        return
    with reach.open(target.address) as client:
        changes = _plan(client, target.state, take_over=take_over)
    if as_json:
        _print_json(changes)
    else:
        _show(changes)
    if changes:
        raise typer.Exit(CHANGES)


@grouped(wanted=wanted, reach=reach)
def apply(
    *,
    wanted: Wanted,
    reach: Reach,
    take_over: TakeOver = False,
    record: Record = None,
    print_as: PrintAs = None,
) -> None:
    """Make a Vault as it should be: read, say what differs, write only that. The second time there is nothing."""
    target = _target(wanted, reach, offline=print_as is not None)
    if not _printed(target.state, print_as):
        _apply(target, reach, take_over=take_over, record=_records(wanted, record))


@grouped(wanted=wanted, reach=reach)
def setup(
    *,
    wanted: Wanted,
    reach: Reach,
    take_over: TakeOver = False,
    dry_run: DryRun = False,
    record: Record = None,
    print_as: PrintAs = None,
) -> None:
    """Do what apply does; with --dry-run, what plan does (and exit with 0)."""
    target = _target(wanted, reach, offline=print_as is not None)
    if _printed(target.state, print_as):
        return
    if not dry_run:
        _apply(target, reach, take_over=take_over, record=_records(wanted, record))
        return
    with reach.open(target.address) as client:
        _show(_plan(client, target.state, take_over=take_over))


@grouped(wanted=wanted, reach=reach)
def drift(*, wanted: Wanted, reach: Reach, as_json: AsJson = False) -> None:
    """Say what differs from what was declared, and which roles nobody declared. Exit code 1: something does."""
    from runpass.vault.inventory import undeclared_roles

    target = _target(wanted, reach)
    with reach.open(target.address) as client:
        changes = _plan(client, target.state, take_over=True)
        undeclared = undeclared_roles(client, target.state)
    if as_json:
        _print_json(changes, undeclared)
    else:
        _show(changes, nothing="" if undeclared else "nothing has drifted")
        for role in undeclared:
            typer.echo(f"? role {_safe(role)} of auth method {_safe(target.state.auth.path)}: nobody declared it")
    if changes or (undeclared and not target.shared):
        raise typer.Exit(FOUND)


def _target(wanted: Wanted, reach: Reach, *, offline: bool = False) -> Target:
    """Give what is wanted, once it is clear that the Vault has an address."""
    if not offline and wanted.file is None:
        reach.check_address()
    return wanted.target()


def _plan(client: "VaultClient", state: "DesiredState", *, take_over: bool) -> "tuple[Change, ...]":
    from runpass.vault import reconcile

    return reconcile.plan(client, state, take_over=take_over)


def _records(wanted: Wanted, said: bool | None) -> bool:  # noqa: FBT001 -- an option that was given or not
    return wanted.credential is not None if said is None else said


def _apply(target: Target, reach: Reach, *, take_over: bool, record: bool) -> None:
    from runpass.vault import reconcile

    with reach.open(target.address) as client:
        changes = _plan(client, target.state, take_over=take_over)
        _show(changes)
        reconcile.apply(
            client,
            target.state,
            changes,
            take_over=take_over,
            on_done=lambda change: typer.echo(f"{change.action} {_safe(change.subject)}: done"),
        )
        if record:
            names = ", ".join(record_roles(client, target.state))
            say(f"the server knows now what stands at the Vault: {names}")


def _printed(state: "DesiredState", form: Form | None, *, policy: bool = False) -> bool:
    """Print the state in another form, if one is asked for; gives whether it was."""
    if policy:
        from runpass.vault.rights import operator_policy

        typer.echo(operator_policy(state), nl=False)
    elif form is not None:
        typer.echo(_as(form, state), nl=False)
    return policy or form is not None


def _as(form: Form, state: "DesiredState") -> str:
    from runpass.vault.commands import as_bao_commands
    from runpass.vault.curl_commands import as_curl_commands
    from runpass.vault.terraform_text import as_terraform

    match form:
        case "terraform":
            return as_terraform(state)
        case "curl":
            return as_curl_commands(state)
        case "bao" | "vault":
            return as_bao_commands(state, form)


def _show(changes: "Sequence[Change]", *, nothing: str = "nothing to change") -> None:
    from runpass.vault.plan_text import as_lines

    for change in changes:
        for line in as_lines(change):
            typer.echo(line)
    if nothing and not changes:
        typer.echo(nothing)


def _print_json(changes: "Sequence[Change]", undeclared: Sequence[str] | None = None) -> None:
    from runpass.vault.plan_text import as_json

    found: dict[str, object] = {"changes": [as_json(change) for change in changes]}
    print_json(found if undeclared is None else {**found, "undeclaredRoles": list(undeclared)})


def _safe(text: str) -> str:
    from runpass.vault.errors import visible

    return visible(text, 512)
