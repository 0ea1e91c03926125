"""Watching a deployment: its steps, its lines, its end, or its wait for an approval."""

from collections.abc import Callable
from datetime import datetime
from time import sleep
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer

from runpass.cli.output import print_pairs
from runpass.cli.terminal import one_line, visible
from runpass.errors import TooManyRequests

if TYPE_CHECKING:
    from runpass.api_client import ApiClient

Answer = dict[str, Any]
T = TypeVar("T")
SUCCESS: Final = "SUCCESS"
POLL_SECONDS: Final = 0.4
"""150 looks in a minute: a server takes 1000 requests for one path unless its settings say otherwise."""
_GUTTER: Final = {"system": "  * "}
_USUAL_GUTTER: Final = "  | "


def until_at_rest(api: "ApiClient", deployment_id: str) -> Answer:
    """Wait until a deployment has ended or waits for an approval; give it."""
    while True:
        found = _deployment(api, deployment_id)
        if _is_at_rest(found):
            return found
        sleep(POLL_SECONDS)


def waits_for_approval(found: Answer) -> bool:
    """Whether nothing goes on until somebody approves the plan; says so on standard error, with the next step."""
    from runpass.api_client import WAITING_FOR_USER

    if found["status"] != WAITING_FOR_USER:
        return False
    typer.echo(f"waits for approval: runpass deployment approve {found['id']}", err=True)
    return True


def print_deployment(found: Answer) -> None:
    """Print a deployment for people: first how it ended, then why."""
    refusal: Answer = found.get("refusal") or {}
    pairs = {
        "Id": found["id"],
        "Status": found["status"],
        "Failed step": found.get("failedStep"),
        "Error": found.get("error") if found.get("error") != refusal.get("reason") else None,
        "Refused because": refusal.get("reason"),
        "Vault said": refusal.get("vaultError"),
        "Hint": refusal.get("hint"),
        "Environment": found["environmentId"],
        "Comment": found.get("comment"),
        "Queued": found["queuedAt"],
        "Started": found.get("startedAt"),
        "Finished": found.get("finishedAt"),
    }
    print_pairs({name: value for name, value in pairs.items() if value not in {None, ""}})
    for leak in found.get("leaks", ()):
        typer.echo(f"Masked in {one_line(leak['step'])}: {one_line(leak['secret'])}")
    for check in refusal.get("checks", ()):
        _print_check(check)


def _print_check(check: Answer) -> None:
    """Print one check that a Vault did not accept; what it expected is given only to those who manage credentials."""
    typer.echo(f"\nNot accepted: {one_line(check['name'])}")
    for name in ("expected", "received"):
        if check.get(name):
            typer.echo(f"  {name}: {one_line(check[name])}")
    for number, line in enumerate((check.get("fix") or "").splitlines()):
        typer.echo(f"  {'' if number else 'fix: '}{one_line(line)}")


class LogPrinter:
    """Prints a deployment's steps and lines, each line once.

    SECURITY: every line is untrusted. It stands behind a gutter, also after a newline in it, so that it can never
    look like a heading.
    """

    def __init__(self, api: "ApiClient", deployment_id: str) -> None:
        self._api = api
        self._id = deployment_id
        self._cursors: dict[str, str] = {}
        self._seen: set[str] = set()
        self._ended: set[str] = set()
        self._shown: str | None = None
        self._colours = _is_terminal()

    def everything(self) -> list[Answer]:
        """Give every step with its `events`."""
        return [step | {"events": self._new_events(step["name"])} for step in self._steps()]

    def print_once(self) -> None:
        """Print what there is now: each step's status and duration, and its lines."""
        for step in self._steps():
            self._heading(step, f"{step['status']}{_took(step)}")
            self._print_events(self._new_events(step["name"]))

    def follow(self) -> Answer:
        """Print what there is and what comes, until the deployment has ended or waits for an approval; give it."""
        while True:
            # The order matters: once the status is at rest nothing is added, so the look that follows misses nothing.
            found = _deployment(self._api, self._id)
            is_over = _is_at_rest(found)
            for step in self._steps():
                self._look_at(step, also_ended=is_over)
            if is_over:
                return found
            sleep(POLL_SECONDS)

    def _look_at(self, step: Answer, *, also_ended: bool) -> None:
        name = step["name"]
        was_ended = name in self._ended
        if was_ended and not also_ended:
            return
        events = self._new_events(name)
        has_ended = step.get("completedAt") is not None
        if not events and (was_ended or not has_ended):
            return
        if self._shown != name:
            self._heading(step, "")
        self._print_events(events)
        if has_ended and not was_ended:
            self._ended.add(name)
            typer.echo(f"  = {step['status']}{_took(step)}")

    def _steps(self) -> list[Answer]:
        return _patiently(lambda: self._api.many("/deployments", self._id, "steps"))

    def _new_events(self, step: str) -> list[Answer]:
        found: list[Answer] = []
        while True:
            cursor = self._cursors.get(step, "0")
            page = self._page(step, cursor)
            # The last page of a deployment that has ended names no next one, and may be asked for again.
            events = [event for event in page["events"] if event["eventId"] not in self._seen]
            self._seen.update(event["eventId"] for event in events)
            found += events
            if not events or page["nextStartTime"] is None:
                return found
            self._cursors[step] = page["nextStartTime"]

    def _page(self, step: str, cursor: str) -> Answer:
        path = ("/deployments", self._id, "steps", step, "log")
        return _patiently(lambda: self._api.one("GET", *path, startTime=cursor))

    def _heading(self, step: Answer, ending: str) -> None:
        self._shown = step["name"]
        typer.echo(f"== {one_line(step['name'])}  {ending}".rstrip())

    def _print_events(self, events: list[Answer]) -> None:
        for event in events:
            gutter = _GUTTER.get(event["level"], _USUAL_GUTTER)
            text = visible(event["message"], colours=self._colours).replace("\n", f"\n{gutter}")
            typer.echo(gutter + text)


def _deployment(api: "ApiClient", deployment_id: str) -> Answer:
    return _patiently(lambda: api.one("GET", "/environments/deployments", deployment_id))


def _is_at_rest(found: Answer) -> bool:
    from runpass.api_client import FINAL, WAITING_FOR_USER

    return found["status"] in FINAL or found["status"] == WAITING_FOR_USER


def _patiently(ask: Callable[[], T]) -> T:
    """Give the answer. While the server says that it was asked too often, wait as long as it says."""
    while True:
        try:
            return ask()
        except TooManyRequests as error:
            sleep(error.retry_after_seconds)


def _took(step: Answer) -> str:
    if not step.get("startedAt") or not step.get("completedAt"):
        return ""
    began, ended = datetime.fromisoformat(step["startedAt"]), datetime.fromisoformat(step["completedAt"])
    return f" in {(ended - began).total_seconds():.1f} s"


def _is_terminal() -> bool:
    import sys

    return sys.stdout.isatty()
