"""`runpass credential test`: a runner logs in as a run of a project would, and says what it sees on the way."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from runpass.cli.connecting import Answer, connected, identify
from runpass.cli.exits import FOUND, NOT_SUCCESSFUL
from runpass.cli.options import AsJson
from runpass.cli.output import print_json
from runpass.cli.terminal import one_line

if TYPE_CHECKING:
    from runpass.api_client import ApiClient

POLL_SECONDS: Final = 0.5
GOES_ON: Final = frozenset({"QUEUED", "IN_PROGRESS"})
Secrets = Annotated[
    list[str] | None, typer.Option(help="Secret that should be readable: <path>.<key>, or a path alone. Repeatable.")
]


def try_connection(
    credential: Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Credential, by name or id.")],
    *,
    project: Annotated[str, typer.Option(help="Project whose runs use it, by name or id.")],
    pool: Annotated[str, typer.Option(help="Runners that are asked.")] = "default",
    path: Secrets = None,
    as_json: AsJson = False,
) -> None:
    """Let a runner try the connection, and print each check with the next step.

    The server never connects to a Vault: what is seen is seen from the runner. The token that comes of it is revoked.
    """
    with connected() as api:
        body = {
            "projectId": identify(api, "project", project),
            "credentialId": identify(api, "credential", credential),
            "pool": pool,
            "paths": list(path or ()),
        }
        made = api.one("POST", "/connection-tests", body=body)
        found = _until_done(api, made["id"])
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found["status"] != "DONE":
        raise typer.Exit(NOT_SUCCESSFUL)
    if any(item["verdict"] == "failed" for item in found["checks"]):
        raise typer.Exit(FOUND)


def _until_done(api: "ApiClient", test_id: str) -> Answer:
    from time import sleep

    while True:
        found = api.one("GET", "/connection-tests", test_id)
        if found["status"] not in GOES_ON:
            return found
        sleep(POLL_SECONDS)


def _print(found: Answer) -> None:
    if found["status"] != "DONE":
        why = {"NOT_TAKEN": "no runner of this pool took the test", "LOST": "the runner did not say how it went"}
        typer.echo(why.get(found["status"], found["status"]), err=True)
        return
    for item in found["checks"]:
        typer.echo(f"{item['verdict']:<8} {one_line(item['name']):<18} {one_line(item['seen'])}")
        for step in item["explained"]:
            if step["passed"] is False:
                typer.echo(f"{'':27} {_explained(step)}")
        lines = (item["nextStep"] or "").splitlines()
        for number, line in enumerate(lines):
            typer.echo(f"{'':27} {'' if number else 'next: '}{one_line(line)}")


def _explained(step: dict[str, Any]) -> str:
    expected, received = one_line(step["expected"] or ""), one_line(step["received"])
    return f"{one_line(step['name'])}: expected {expected}, got {received}"
