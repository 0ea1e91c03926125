"""`runpass organization subject`: what `sub` is, what it would be, and which roles of a Vault would still match."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from runpass.cli.connecting import Answer, connected, identify
from runpass.cli.exits import FOUND
from runpass.cli.options import AsJson, InProject
from runpass.cli.output import print_json, print_pairs, print_rows
from runpass.cli.terminal import one_line
from runpass.cli.vault_explain import read_object
from runpass.errors import InvalidInput

app = typer.Typer(help="See what `sub` is and would be.")
NONE: Final = "none"
TEMPLATE: Final = "Claims that sub consists of: organizationId, then others, with commas. none: the organization's own."
_CREDENTIAL: Final = "Credential whose login token is meant, by name or id; else the token that jobs hold."
_ROLE: Final = (
    "A role to look at: a file with what `bao read -format=json auth/<mount>/role/<name>` prints. Repeatable."
)
_RENAMED: Final = "A name after a rename. Default: any other."
_CASES: Final = {
    "Now": ("now",),
    "Proposed": ("proposed",),
    "Project renamed": ("afterRename", "project"),
    "Environment renamed": ("afterRename", "environment"),
    "Template renamed": ("afterRename", "template"),
}


def template_of(text: str) -> list[str] | None:
    """Give the claims of a template as it was typed; nothing for `none`."""
    return None if text == NONE else [item.strip() for item in text.split(",")]


@app.command()
def preview(  # noqa: PLR0913 -- one parameter for each option
    *,
    environment: Annotated[str, typer.Option(metavar="ENVIRONMENT", help="Whose runs are meant, by name or id.")],
    project: InProject = None,
    credential: Annotated[str | None, typer.Option(metavar="CREDENTIAL", help=_CREDENTIAL)] = None,
    template: Annotated[str | None, typer.Option(metavar="CLAIMS", help=f"{TEMPLATE} Default: as it is.")] = None,
    role: Annotated[list[Path] | None, typer.Option(dir_okay=False, help=_ROLE)] = None,
    new_project_name: Annotated[str | None, typer.Option(metavar="NAME", help=_RENAMED)] = None,
    new_environment_name: Annotated[str | None, typer.Option(metavar="NAME", help=_RENAMED)] = None,
    new_template_name: Annotated[str | None, typer.Option(metavar="NAME", help=_RENAMED)] = None,
    as_json: AsJson = False,
) -> None:
    """Say what `sub` is for the runs of an environment, what it would be, and which roles would still admit them.

    Roles that `runpass vault apply` recorded are looked at as well. Nothing is changed, and no Vault is asked.
    Exit code 1: a role that admits the runs now would refuse them.
    """
    body: dict[str, object] = {
        "newProjectName": new_project_name,
        "newEnvironmentName": new_environment_name,
        "newTemplateName": new_template_name,
        "roles": _roles(role or ()),
    }
    if template is not None:
        body["identitySubject"] = template_of(template)
    with connected() as api:
        in_project = identify(api, "project", project) if project else None
        body["environmentId"] = identify(api, "environment", environment, project=in_project)
        body["credentialId"] = identify(api, "credential", credential) if credential else None
        found = api.one("POST", "/organizations", api.organization_id, "subject-preview", body=body)
    if as_json:
        print_json(found)
    else:
        _print(found)
    if any(item["now"]["admits"] is not False and item["proposed"]["admits"] is False for item in found["roles"]):
        raise typer.Exit(FOUND)


def _roles(files: Sequence[Path]) -> list[Answer]:
    found = []
    for file in files:
        data = read_object(file, "--role")
        if data is None:
            raise InvalidInput.of("--role", f"{file} holds no role")
        found.append({"name": file.stem or str(file), "role": json.dumps(data)})
    return found


def _print(found: Answer) -> None:
    print_pairs({"sub now": found["now"]["sub"], "sub proposed": found["proposed"]["sub"]})
    if not found["roles"]:
        return
    typer.echo("")
    rows = [
        {"Role": _name(item), **{heading: _word(_case(item, heading)) for heading in _CASES}} for item in found["roles"]
    ]
    print_rows(rows, {heading: heading for heading in ("Role", *_CASES)})
    lines = [line for item in found["roles"] for line in _reasons(item)]
    if lines:
        typer.echo("\n".join(["", *lines]))


def _name(item: Answer) -> str:
    return f"{item['name']} (recorded)" if item["isRecorded"] else str(item["name"])


def _case(item: Answer, heading: str) -> Answer:
    verdict: Answer = item
    for key in _CASES[heading]:
        verdict = verdict[key]
    return verdict


def _word(verdict: Answer) -> str:
    return {True: "admits", False: "refuses", None: "unknown" if verdict["problem"] else "depends"}[verdict["admits"]]


def _reasons(item: Answer) -> Iterator[str]:
    """Give a line for each reason, at the first case that it holds in, and for each other user that runs would be."""
    said: set[str] = set()
    usual = item["now"]["alias"]
    for heading in _CASES:
        verdict = _case(item, heading)
        texts = [f"{it['name']}: expected {it['expected']}, received {it['received']}" for it in verdict["reasons"]]
        texts += [f"depends on the run: {', '.join(verdict['dependsOn'])}"] if verdict["dependsOn"] else []
        texts += [verdict["problem"]] if verdict["problem"] else []
        if usual is not None and verdict["alias"] not in {None, usual}:
            texts.append(f"another entity at the Vault: {verdict['alias']} instead of {usual}")
        for text in texts:
            if text not in said:
                said.add(text)
                yield one_line(f"{_name(item)}, {heading.lower()}: {text}")
