"""Key sets of organizations' own issuers: a server that has ten thousand of them, beside one that has one.

Both servers run at the same time and are asked in turn, in blocks, so that whatever else the machine does slows down
both. Every key set is fetched once before, which is when a server reads it; what that takes is told apart. Keys are
ES256, because making ten thousand RSA keys takes longer than everything else here.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from rich.console import Console

from runpass.clock import SYSTEM_CLOCK
from runpass.ids import new_id
from runpass.local.stage import Stage, throw_away_stage
from runpass.server.db.schema.tenancy import organizations
from runpass.server.issuer import store
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.keys import new_key
from runpass.server.opening import open_parts

MANY = 10_000
BLOCK = 200
AT_LEAST = 0.9


class Asked:
    """One server, and a connection to it that stays open."""

    def __init__(self, stage: Stage, issuers: list[UUID]) -> None:
        self._stage = stage
        where = urlsplit(stage.url)
        self._connection = HTTPConnection(where.hostname or "", where.port)
        self._paths = [f"/o/{issuer}/.well-known/jwks.json" for issuer in issuers]
        self._in_turn = self._shuffled()

    def fetch_all(self) -> float:
        """Give the seconds that the first fetch of every key set took, all together."""
        began = time.perf_counter()
        for path in self._paths:
            self._fetch(path)
        return time.perf_counter() - began

    def rate(self) -> float:
        """Give the requests in a second of one block, on a connection of its own: servers end idle ones."""
        self._connection.close()
        began = time.perf_counter()
        for _ in range(BLOCK):
            self._fetch(next(self._in_turn))
        return BLOCK / (time.perf_counter() - began)

    def cpu_seconds(self) -> float:
        """Give the processor time that the server's processes have used."""
        fields = [text.rpartition(")")[2].split() for text in self._processes("stat")]
        return sum(int(item[11]) + int(item[12]) for item in fields) / os.sysconf("SC_CLK_TCK")

    def resident_megabytes(self) -> float:
        """Give the memory of the server's processes."""
        lines = [line for text in self._processes("status") for line in text.splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def _processes(self, file: str) -> list[str]:
        """Give a file of the server's process and of its workers."""
        if self._stage.server is None:
            raise SystemExit("there is no server")
        pid = str(self._stage.server.pid)
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [Path(f"/proc/{item}/{file}").read_text(encoding="ascii") for item in (pid, *workers)]

    def _fetch(self, path: str) -> None:
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        if b'"keys"' not in answer.read():
            raise SystemExit(f"{path} was answered with {answer.status}")

    def _shuffled(self) -> Iterator[str]:
        return cycle(sorted(self._paths, key=lambda path: path[::-1]))  # the end of an id is random


def measure_issuers(blocks: int, many: int = MANY) -> dict[str, Any]:
    """Measure both."""
    with ExitStack() as stack:
        one, all_of_them = (_asked(stack, number) for number in (1, many))
        one.fetch_all()
        first = all_of_them.fetch_all()
        cpu = [item.cpu_seconds() for item in (one, all_of_them)]
        rates = [(one.rate(), all_of_them.rate()) for _ in range(blocks)]
        cpu = [item.cpu_seconds() - before for item, before in zip((one, all_of_them), cpu, strict=True)]
        memory = [round(item.resident_megabytes()) for item in (one, all_of_them)]
    ratio = round(median(ours / alone for alone, ours in rates), 3)
    found = {
        "issuers": many,
        "requestsPerSecond": {
            "one": round(median(alone for alone, _ in rates)),
            "many": round(median(ours for _, ours in rates)),
        },
        "manyOverOne": ratio,
        "serverCpuMilliseconds": {
            "one": round(1000 * cpu[0] / blocks / BLOCK, 3),
            "many": round(1000 * cpu[1] / blocks / BLOCK, 3),
        },
        "firstFetchMilliseconds": round(1000 * first / many, 2),
        "residentMegabytes": {"one": memory[0], "many": memory[1]},
        "lookMilliseconds": _look(many),
    }
    console = Console()
    console.print(found)
    console.print(f"with {many} issuers {ratio}x the requests of one (at least {AT_LEAST})")
    return {"issuers": found}


def _asked(stack: ExitStack, number: int) -> Asked:
    stage = stack.enter_context(throw_away_stage())
    issuers = _fill(stage, number)
    stage.start_server(stack)
    return Asked(stage, issuers)


def _fill(stage: Stage, number: int) -> list[UUID]:
    """Make organizations with keys, straight in the database."""
    parts, now = open_parts(stage.settings), SYSTEM_CLOCK.now()
    made = [new_id() for _ in range(number)]
    row = {"description": "", "enable_oidc": False, "allow_clear_text_vault": False}
    row["policies"] = {"identity_issuer": "own"}  # else the keys would end
    row |= {"created_by": "bench", "created_at": now, "updated_at": now}
    with parts.database.write() as tx:
        rows = [{**row, "id": item, "name": str(item), "oidc_sub": str(item)} for item in made]
        tx.execute(organizations.insert(), rows)
        for item in made:
            key = new_key(now, Algorithm.ES256, issuer=item, longest_token=timedelta(days=1))
            store.insert_key(tx, parts.cipher, key)
    parts.close()
    return made


def _look(number: int) -> float:
    """Give the milliseconds of the look at the database every half second, with all rings in memory."""
    with throw_away_stage() as stage:
        issuers = _fill(stage, number)
        parts = open_parts(stage.settings)
        for issuer in issuers:
            parts.rings.ring_for(issuer)
        taken = []
        for _ in range(20):
            began = time.perf_counter()
            parts.rings.tend()
            taken.append(time.perf_counter() - began)
        parts.close()
    return round(1000 * median(taken), 2)
