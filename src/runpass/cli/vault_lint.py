"""`runpass vault lint`: the weak spots of a role, of a Vault's or of a file's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpass.cli.exits import FOUND
from runpass.cli.grouped import grouped
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, say
from runpass.cli.terminal import one_line
from runpass.cli.vault_reach import Reach, reach
from runpass.errors import ConfigurationError, FieldError, InvalidInput

if TYPE_CHECKING:
    from runpass.vault.lint.model import Finding
    from runpass.vault.lint.reading import Reading

MAX_FILE = 1_048_576


@grouped(reach=reach)
def lint(  # noqa: PLR0913 -- one parameter for each option
    *,
    reach: Reach,
    mount: Annotated[str, typer.Option(help="Path of the JWT auth method, without auth/.")] = "jwt",
    role: Annotated[str | None, typer.Option(help="Role to look at; without, all of them.")] = None,
    namespace: Annotated[str, typer.Option(help="Namespace; empty: the root namespace.")] = "",
    role_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A role as JSON, as a read gives it; then no Vault is asked.")
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The method's config as JSON, as a read gives it.")
    ] = None,
    tuning_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="How the method is mounted, as a read of its tune gives it.")
    ] = None,
    policy_file: Annotated[
        list[Path] | None, typer.Option(dir_okay=False, help="A policy's text; named by the file. Repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for weak spots of the roles of a JWT auth method. Exit code 1: one is an error or a warning."""
    from runpass.vault.lint.rules import lint as look

    offline = {"--role-file": role_file, "--config-file": config_file, "--tuning-file": tuning_file}
    if any(offline.values()):
        if reach.address is not None:
            raise InvalidInput.of("--address", "is not used with files")
        reading = _from_files(offline, policy_file or (), mount=mount, role=role or "", namespace=namespace)
    else:
        reading = _from_vault(reach, mount, role, namespace=namespace)
    findings = look(reading.facts)
    _print(findings, reading.unread, as_json=as_json)
    if any(finding.is_serious for finding in findings):
        raise typer.Exit(FOUND)


def _from_vault(reach: Reach, mount: str, role: str | None, *, namespace: str) -> "Reading":
    from runpass.vault.lint.reading import read_facts

    if reach.address is None:
        missing = (FieldError("--address", "is required"),)
        raise InvalidInput("--address is required", missing, hint="or name a --role-file")
    with reach.open() as client:
        return read_facts(client.in_namespace(namespace), mount, role)


def _from_files(
    files: Mapping[str, Path | None], policies: Sequence[Path], *, mount: str, role: str, namespace: str
) -> "Reading":
    from runpass.vault.lint.files import parse
    from runpass.vault.lint.model import MountFacts
    from runpass.vault.lint.reading import Reading

    read: dict[str, Any] = {
        option: None if file is None else parse(_text(file), option) for option, file in files.items()
    }
    found = read["--role-file"]
    name = role or (files["--role-file"].stem if files["--role-file"] else "")
    roles = {} if found is None else {name: found}
    is_cel = found is not None and "cel_program" in found
    facts = MountFacts(
        mount=mount,
        namespace=namespace,
        roles={} if is_cel else roles,
        cel_roles=roles if is_cel else {},
        config=read["--config-file"],
        tuning=read["--tuning-file"],
        policies={file.stem.lower(): _text(file) for file in policies},
    )
    return Reading(facts, tuple(f"{option}: not given" for option, data in read.items() if data is None))


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"the file {file} cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise InvalidInput(f"the file {file} is longer than {MAX_FILE} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"the file {file} is not UTF-8 text") from None


def _print(findings: "Sequence[Finding]", unread: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"findings": [finding.to_json() for finding in findings], "notRead": list(unread)})
        return
    for finding in findings:
        typer.echo(f"{finding.severity.value:<7}  {finding.code}  {one_line(finding.where)}")
        typer.echo(f"         {one_line(finding.reason)}")
        typer.echo(f"         fix: {one_line(finding.fix)}")
    for line in unread:
        say(f"not looked at: {line}")
    counts = Counter(finding.severity.value for finding in findings)
    typer.echo(
        ", ".join(f"{number} {name}{'s' if number > 1 else ''}" for name, number in counts.items()) or "no findings"
    )
