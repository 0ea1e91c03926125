"""`runpass vault explain`: why a login is accepted or refused, worked out without a server."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from runpass.cli import exits
from runpass.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from runpass.vault.explain import Check, Explanation

MAX_FILE: Final = 32 * 1024 * 1024
_MARKS: Final = {True: "ok", False: "FAILED", None: "unknown"}


def explain(  # noqa: PLR0913 -- one parameter for each option
    *,
    role: Annotated[Path, typer.Option(dir_okay=False, help="The data of a read of auth/<mount>/role/<name>.")],
    config: Annotated[Path, typer.Option(dir_okay=False, help="The data of a read of auth/<mount>/config.")],
    jwks: Annotated[Path, typer.Option(dir_okay=False, help="The issuer's published keys (JWK Set).")],
    token: Annotated[Path, typer.Option(help="The token; - reads standard input.", allow_dash=True)],
    at: Annotated[float | None, typer.Option(help="When, in Unix seconds. Default: now.")] = None,
    role_name: Annotated[str, typer.Option(help="The role's name in the login.")] = "role",
    mount: Annotated[str, typer.Option(help="Path of the auth method, without auth/.")] = "jwt",
    server: Annotated[str, typer.Option(help="openbao or vault.")] = "openbao",
    server_version: Annotated[str, typer.Option(help="Its version. Default: a recent one.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole explanation as JSON.")] = False,
) -> None:
    """Say what a Vault or OpenBao will answer to a JWT login, with every reason and the command that mends it.

    Nothing is asked of any server, and the token is never printed. A file that holds null stands for what is not there.
    """
    from runpass.clock import SYSTEM_CLOCK
    from runpass.secret import Secret
    from runpass.vault.explain import LoginCase
    from runpass.vault.explain import explain as explained

    case = LoginCase(
        role_name=role_name,
        role=read_object(role, "--role"),
        config=read_object(config, "--config"),
        jwks=read_object(jwks, "--jwks"),
        jwks_text="" if str(jwks) == "-" else _text(jwks, "--jwks"),
        token=Secret(_text(token, "--token").strip("\r\n")),
        at=SYSTEM_CLOCK.now().timestamp() if at is None else at,
        server=_server(server),
        server_version=server_version,
        mount=mount,
    )
    found = explained(case)
    typer.echo(json.dumps(found.as_json()) if as_json else _for_people(found))
    if not found.accepted:
        raise typer.Exit(exits.OTHER)


def _server(name: str) -> Literal["openbao", "vault"]:
    match name:
        case "openbao" | "vault":
            return name
        case _:
            raise InvalidInput("--server must be openbao or vault", (FieldError("--server", "is neither"),))


def _text(file: Path, option: str) -> str:
    try:
        content = sys.stdin.buffer.read(MAX_FILE + 1) if str(file) == "-" else file.read_bytes()[: MAX_FILE + 1]
    except OSError as error:
        raise InvalidInput(f"{option}: {file} cannot be read ({error.strerror})") from error
    if len(content) > MAX_FILE:
        raise InvalidInput(f"{option}: is longer than {MAX_FILE} bytes")
    return content.decode("utf-8", errors="replace")


def read_object(file: Path, option: str) -> Mapping[str, Any] | None:
    """Give the object, or null, that a file holds as JSON: the data of a read, or the read's whole answer."""
    try:
        found = json.loads(_text(file, option))
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{option}: {file}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    if isinstance(found, dict) and isinstance(found.get("data"), dict) and "request_id" in found:
        found = found["data"]  # the whole answer of a read, as `bao read -format=json` prints it
    if found is not None and not isinstance(found, dict):
        raise InvalidInput(f"{option}: {file} holds neither a JSON object nor null")
    return found


def _for_people(found: "Explanation") -> str:
    verdict = "accepted" if found.accepted else f"refused: {found.status} {found.error}"
    lines = [verdict]
    if len(found.possible_errors) > 1:
        others = [f"  {item}" for item in found.possible_errors[1:]]
        lines += ["or, since these are looked at in a random order:", *others]
    lines.append("")
    for check in found.checks:
        lines += _lines(check)
    if found.granted is not None:
        lines += ["", "the token:", *(f"  {name}: {value}" for name, value in found.granted.as_json().items())]
    lines += ["", *(f"note: {note}" for note in found.notes)]
    return "\n".join(lines)


def _lines(check: "Check") -> list[str]:
    line = f"{_MARKS[check.passed]:>8}  {check.name}"
    if check.passed:
        return [line]
    shown = {"expected": check.expected, "received": check.received}
    lines = [line, *(f"          {name}: {value}" for name, value in shown.items() if value)]
    fix = check.fix.splitlines() if check.passed is False else []
    return lines + [f"          {'fix: ' if not number else '     '}{text}" for number, text in enumerate(fix)]
