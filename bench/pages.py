"""What each page of the console costs in an organization that is much used, on both databases.

Every GET route of the console is asked that the dataset has something for; what it has nothing for is named. Times are
those of a client on the same machine, which waits for one page after the other: the server's and a little more.
"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html.parser import HTMLParser
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table

from bench.dataset import USED, Looked
from bench.lists import Filled, serve, throw_away_postgresql
from bench.samples import Row
from runpass.server.app import PAGES

ASKED = 20
WARM_UP = 2
AT_MOST_MILLISECONDS = 100
NO_PAGES = ("/sign-in/callback", "/set-up", "/log/events", "/password", "/sign-in")
"""Streams, and pages that are not there or lead elsewhere for an API key that is signed in."""


def measure_pages() -> dict[str, Any]:
    """Measure on both databases, print a table for each, the slowest page first, and give the results."""
    results: dict[str, Any] = {}
    with throw_away_postgresql() as postgresql:
        for kind, url in (("SQLite", lambda: ""), ("PostgreSQL", lambda: postgresql.url(postgresql.create()))):
            with ExitStack() as stack:
                filled = serve(stack, url(), USED)
                rows, left_out = ask_pages(filled)
            rows.sort(key=lambda row: row.p95, reverse=True)
            show(kind, rows, left_out)
            results[kind] = {row.name: row.as_json() for row in rows}
    return results


def ask_pages(filled: Filled) -> tuple[list[Row], list[str]]:
    """Ask every page; give the times, and the routes that nothing is known for."""
    looked, rows, left_out = filled.dataset.large, [], []
    with signed_in(filled.url, looked) as client:
        for name, path in paths(looked):
            if path is None:
                left_out.append(name)
                continue
            samples = [_milliseconds(client, path) for _ in range(ASKED + WARM_UP)]
            rows.append(Row(name, tuple(samples[WARM_UP:])))
    return rows, left_out


def paths(looked: Looked) -> Iterator[tuple[str, str | None]]:
    """Give every page with a path to ask; None where the dataset has nothing that it is about."""
    known = {
        "organization_id": looked.organization,
        "project_id": looked.project,
        "environment_id": looked.environment,
        "deployment_id": looked.deployment,
        **looked.more,
    }
    routes = sorted({route.path for room in PAGES for route in room.ROUTES if "GET" in (route.methods or set())})
    for route in routes:
        if route.endswith(NO_PAGES):
            continue
        parts = re.findall(r"{(\w+)}", route)
        path = None if set(parts) - set(known) else f"/console{route.format(**known)}"
        yield route, path
    deployments = f"/console/deployments/{looked.deployment}"
    half = USED.large_log_lines // 2
    yield "the middle of a log of 100,000 lines", f"{deployments}?step=step+0&line={half}"
    yield "a search in a log of 100,000 lines", f"{deployments}?find=line+99999"
    yield "the last deployments of 20,000", f"/console/environments/{looked.environment}/deployments?offset=19900"


@contextmanager
def signed_in(url: str, looked: Looked) -> Iterator[httpx2.Client]:
    """Give a client with a session; its cookies are `Secure`, and sent by hand over plain HTTP."""
    key, secret = looked.key
    with httpx2.Client(base_url=url, trust_env=False, timeout=120) as client:
        page = client.get("/console/sign-in")
        cookie = {"Cookie": page.headers["set-cookie"].partition(";")[0]}
        form = _Hidden(page.text).found | {"name": key, "secret": secret.reveal()}
        ours = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
        client.cookies.clear()
        answer = client.post("/console/sign-in", data=form, headers=cookie | ours)
        session = next(item for item in answer.headers.get_list("set-cookie") if "session" in item)
        client.cookies.clear()
        client.headers["Cookie"] = session.partition(";")[0]
        yield client


class _Hidden(HTMLParser):
    """The hidden fields of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.found[str(given["name"])] = given.get("value") or ""


def _milliseconds(client: httpx2.Client, path: str) -> float:
    started = time.perf_counter()
    answer = client.get(path)
    took = (time.perf_counter() - started) * 1000
    if not answer.is_success:
        raise SystemExit(f"GET {path} was answered with {answer.status_code}")
    return took


def show(kind: str, rows: list[Row], left_out: list[str]) -> None:
    table = Table(title=f"{kind}: {ASKED} requests for each page, milliseconds, the slowest first")
    for name in ("page", "p50", "p95", ""):
        table.add_column(name, justify="left" if name == "page" else "right")
    for row in rows:
        over = "over" if row.p95 > AT_MOST_MILLISECONDS else ""
        table.add_row(row.name, f"{row.p50:.1f}", f"{row.p95:.1f}", over)
    console = Console(width=110)
    console.print(table)
    if left_out:
        console.print(f"not asked, because the dataset has nothing for them: {', '.join(left_out)}")
