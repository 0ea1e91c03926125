"""A log that is followed through what goes wrong: a server that is killed, a deployment that goes, a very long log.

Lines are written through the stores of a second opening of the same data, as another process of the server would.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import insert

from browser import real_browser, visiting
from factories import Tenant, World
from programs import RunningServer, running_server
from runpass.protocol.reports import LogEvent, LogLevel, Step, StepStatus
from runpass.server.access.sessions import start_session
from runpass.server.db.schema.deployments import deployment_log_events
from runpass.server.deployments import log_store
from runpass.server.deployments.log_view import WINDOW
from runpass.server.deployments.model import Deployment
from runpass.server.keeping.deployment_retention import _delete
from runpass.server.keeping.retention import delete_lines
from runpass.server.opening import open_parts
from runpass.server.settings import load_settings

STEP = "shell:1"
MOST_DRAWN = 3_000
A_LONG_LOG = 100_000
BAD = "bad \ufffd\ufffd bytes \x1b]0;title\x07 \u202eneedle\u2066"
NUMBERS = "[...document.querySelectorAll('.line a.number')].map(each => Number(each.textContent))"


@dataclass(frozen=True)
class Console:
    """A server, and its data opened beside it."""

    server: RunningServer
    world: Any
    tenant: Tenant
    browser: Browser

    def deployment(self) -> Deployment:
        project = self.tenant.project()
        deployment = self.tenant.queue(self.tenant.environment(project, self.tenant.template(project)))
        step = Step(name=STEP, order=1, status=StepStatus.IN_PROGRESS, started_at=self.world.clock.now())
        with self.world.database.write() as tx:
            log_store.save_steps(tx, self.tenant.id, deployment.id, [step])
        return deployment

    def say(self, deployment: Deployment, first: int, last: int, message: str = "") -> None:
        """Write the lines with these numbers; without a message each says its number."""
        at = self.world.clock.now()
        events = [
            LogEvent(step=STEP, number=number, at=at, level=LogLevel.INFO, message=message or f"line {number}")
            for number in range(first, last + 1)
        ]
        with self.world.database.write() as tx:
            log_store.count_log_bytes(tx, deployment.id, log_store.save_events(tx, deployment.id, events))

    def fill(self, deployment: Deployment, last: int) -> None:
        """Write so many lines at once, as no report could."""
        line = {
            "deployment_id": deployment.id,
            "step": STEP,
            "at": self.world.clock.now(),
            "level": LogLevel.INFO.value,
        }
        rows = [{**line, "number": number, "message": f"line {number}"} for number in range(1, last + 1)]
        with self.world.database.write() as tx:
            tx.execute(insert(deployment_log_events), rows)

    def bearer(self) -> str:
        with self.world.database.write() as tx:
            return start_session(tx, self.tenant.admin, self.world.clock.now()).reveal()

    def open(self, page: Page, path: str) -> None:
        """Open a page in a browser, and sign in."""
        page.goto(path)
        page.get_by_label("API key id").fill(self.tenant.api_key.api_key_id)
        page.get_by_label("Its secret").fill(self.tenant.api_secret.reveal())
        page.get_by_role("button", name="Sign in").press("Enter")
        page.locator("#steps").wait_for()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_server(tmp_path_factory.mktemp("stream"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        yield Console(server, world, world.tenant("Acme"), browser)
        parts.close()


def path_of(deployment: Deployment) -> str:
    return f"/console/deployments/{deployment.id}"


def line(page: Page, number: int) -> Any:
    return page.locator(f"#shell-1-L{number}")


def frames_until(console: Console, deployment: Deployment, last: int, after: str = "") -> tuple[list[int], str]:
    """Read a stream until it has given a line; give the numbers of all lines, and the id of the last event."""
    found, position = list[int](), after
    headers = {"Cookie": f"__Host-runpass-session={console.bearer()}", **({"Last-Event-ID": after} if after else {})}
    http = httpx2.Client(base_url=console.server.url, trust_env=False, timeout=30)
    with http, http.stream("GET", f"{path_of(deployment)}/log/events", headers=headers) as answer:
        assert answer.status_code == 200
        for text in answer.iter_lines():
            if text.startswith("id: "):
                position = text.removeprefix("id: ")
            elif text.startswith('data: {"lines"'):
                found += [item["number"] for item in json.loads(text.removeprefix("data: "))["lines"]]
                if found[-1] >= last:
                    break
    return found, position


def test_who_follows_while_the_server_is_killed_misses_no_line_and_has_none_twice(console: Console):
    deployment = console.deployment()
    console.say(deployment, 1, 20)
    with visiting(console.browser, console.server.url) as (page, complaints):
        console.open(page, path_of(deployment))
        line(page, 20).wait_for(state="attached")
        console.say(deployment, 21, 30)
        line(page, 30).wait_for(state="attached")
        before, position = frames_until(console, deployment, 30)
        console.server.program.kill()
        page.locator("#live", has_text="The connection was lost. The page tries again.").wait_for()
        console.say(deployment, 31, 700)
        console.server.restart()
        line(page, 700).wait_for(state="attached")
        console.say(deployment, 701, 710)
        line(page, 710).wait_for(state="attached")
        assert page.evaluate(NUMBERS) == list(range(1, 711))
        page.locator("#live", has_text="This page follows the deployment.").wait_for()
        assert all("ERR_" in item for item in complaints.take())
    after, _ = frames_until(console, deployment, 710, position)
    assert before + after == list(range(1, 711)), "for a client that names the last event too"


def test_a_page_whose_deployment_goes_away_says_so_and_follows_no_more(console: Console):
    deployment = console.deployment()
    console.say(deployment, 1, 3)
    with visiting(console.browser, console.server.url) as (page, _):
        with page.expect_response(f"**{path_of(deployment)}/run"):  # what the first event has drawn anew
            console.open(page, path_of(deployment))
        with console.world.database.write() as tx:  # as retention does, which would wait for its end
            delete_lines(tx, deployment.id, 10)
            _delete(tx, deployment.id)
        page.locator("#live[data-why=deleted]", has_text="The deployment was deleted.").wait_for()
        assert page.evaluate(NUMBERS) == [1, 2, 3]


def test_a_very_long_log_with_bad_bytes_is_read_searched_and_followed(console: Console):
    deployment = console.deployment()
    console.fill(deployment, A_LONG_LOG - 1)
    console.say(deployment, A_LONG_LOG, A_LONG_LOG, BAD)
    with visiting(console.browser, console.server.url) as (page, _):
        console.open(page, path_of(deployment))
        line(page, A_LONG_LOG).wait_for(state="attached")
        assert len(page.content()) < 2_000_000
        first = A_LONG_LOG - WINDOW + 1
        assert page.evaluate(NUMBERS) == list(range(first, A_LONG_LOG + 1))
        text = line(page, A_LONG_LOG).locator(".text").text_content()
        assert "bad \ufffd\ufffd bytes" in text
        assert not re.search(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text), text
        # What is drawn is bounded however much comes, and what went is still led to.
        last = A_LONG_LOG + MOST_DRAWN
        console.say(deployment, A_LONG_LOG + 1, last)
        line(page, last).wait_for(state="attached")
        assert page.evaluate(NUMBERS) == list(range(A_LONG_LOG + 1, last + 1))
        page.get_by_role("link", name="Earlier lines").click()
        line(page, A_LONG_LOG).wait_for(state="attached")
        assert page.evaluate(NUMBERS) == list(range(first, A_LONG_LOG + 1))
        page.get_by_label("Lines with").fill("needle")
        page.get_by_role("button", name="Find").click()
        page.get_by_text("1 line holds “needle”.").wait_for()
