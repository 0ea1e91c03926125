"""Identity tokens per second over HTTP, beside OpenSSL alone, OpenBao's issuer and node oidc-provider.

Ours does its whole work: run lease checked, count, audit record and what can come of the token committed with
`synchronous=FULL` before it leaves. All servers and the load generator share the machine and are pressed in turn, round
after round; a ratio is the median of the rounds' ratios.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.load import Pressed, family, press, request, resident_kib
from bench.running import start_runs
from bench.token_peers import (
    Peer,
    node_provider,
    node_versions,
    openbao_issuer,
    openssl_per_cpu_second,
    openssl_signatures,
    openssl_version,
)
from runpass.local.openbao_binary import OPENBAO_VERSION
from runpass.local.programs import Program, server_is_ready
from runpass.local.stage import throw_away_stage

CORES = os.cpu_count() or 1
ROUNDS = 3
SECONDS = 3.0
CONNECTIONS = 64
RUNS_OF_A_ROUND = 16
"""Runs that ask again and again, 1,000 times at most; each is read from the database once a second."""
RUNS_ASKING_ONCE = 300
MEMORY_TOKENS = 100_000


@dataclass(frozen=True)
class Ours:
    """Our server and what to ask it."""

    port: int
    pid: int
    asks: tuple[bytes, ...]
    asks_once: tuple[bytes, ...]

    def press(self, number: int, seconds: float = SECONDS) -> Pressed:
        first = number * RUNS_OF_A_ROUND
        asks = self.asks[first : first + RUNS_OF_A_ROUND]
        return whole(press(self.port, asks, connections=CONNECTIONS, seconds=seconds, pids=[self.pid]))


@dataclass(frozen=True)
class Line:
    """A line of the table: what, beside what, the rounds of both, and the aim."""

    name: str
    beside: str
    ours: Sequence[float]
    theirs: Sequence[float]
    aim: float
    at_most: bool = False

    @property
    def ratio(self) -> float:
        return median(mine / other for mine, other in zip(self.ours, self.theirs, strict=True))

    @property
    def is_reached(self) -> bool:
        return self.ratio <= self.aim if self.at_most else self.ratio >= self.aim

    def as_json(self) -> dict[str, Any]:
        numbers = {"ours": round(median(self.ours), 1), "theirs": round(median(self.theirs), 1)}
        aim = f"{'<=' if self.at_most else '>='} {self.aim}"
        return {
            "beside": self.beside,
            **numbers,
            "ratio": round(self.ratio, 3),
            "aim": aim,
            "reached": self.is_reached,
        }


def whole(pressed: Pressed) -> Pressed:
    """Give what was pressed if every answer was a 200: else something else was measured."""
    if set(pressed.answers) != {200}:
        raise SystemExit(f"answers other than 200: {dict(pressed.answers)}")
    return pressed


@contextmanager
def our_server(algorithm: str, workers: int, *, runs: int, once: int = 0) -> Iterator[Ours]:
    with throw_away_stage(lease_seconds=600) as stage, ExitStack() as stack:
        settings = stage.settings.model_copy(update={"signing_algorithm": algorithm})
        asks = start_runs(settings, runs, "bench").asks
        asks_once = start_runs(settings, once, "once").asks if once else ()
        values = {
            "data_dir": settings.data_dir,
            "public_url": settings.public_url,
            "listen_port": settings.listen_port,
            "lease_seconds": 600,
            "signing_algorithm": algorithm,
            "workers": workers,
            "log_level": "warning",
        }
        server = stack.enter_context(Program("server-bench", values, stage.root / "etc"))
        server.wait_until(server_is_ready(settings.public_url))
        yield Ours(settings.listen_port, server.pid, asks, asks_once)


def measure_tokens() -> dict[str, Any]:
    console = Console()
    with ExitStack() as stack:
        bao = stack.enter_context(openbao_issuer())
        node = stack.enter_context(node_provider())
        lines, once = _rs256(bao, node)
        lines += [*_es256(bao), *_documents(bao)]
    lines.append(_memory())
    _show(console, lines)
    return {
        "connections": CONNECTIONS,
        "rounds": ROUNDS,
        "secondsEach": SECONDS,
        "runsOfARound": RUNS_OF_A_ROUND,
        "oneTokenForEachRunPerSecond": round(once, 1),
        "sides": {
            "runpass": f"{CORES} processes (one for documents and memory), SQLite on disk, synchronous=FULL,"
            " audit and lease check on, log level warning",
            "openssl": f"{CORES} processes, no HTTP ({openssl_version()})",
            "OpenBao": f"1 process, {CORES} cores, state in memory only, no audit device ({OPENBAO_VERSION})",
            "oidc-provider": f"{CORES} processes and the one that hands out connections, state in memory only"
            f" ({node_versions()})"
            if node
            else "missing",
        },
        "lines": {line.name: line.as_json() for line in lines},
    }


def _rs256(bao: Peer, node: Peer | None) -> tuple[list[Line], float]:
    """Measure ours beside OpenSSL, OpenBao and node; and how fast ours is when every run asks for one token."""
    with our_server("RS256", CORES, runs=RUNS_OF_A_ROUND * (ROUNDS + 1), once=RUNS_ASKING_ONCE) as ours:
        ours.press(ROUNDS, 1.0)
        mine: list[Pressed] = []
        signed, per_cpu, by_bao, by_node = [], [], [], []
        for number in range(ROUNDS):
            mine.append(ours.press(number))
            signed.append(openssl_signatures(round(SECONDS)))
            per_cpu.append(openssl_per_cpu_second(1))
            by_bao.append(_asked(bao, "RS256"))
            if node:
                by_node.append(_asked(node, "RS256"))
        once = _each_once(ours)
    rates, per_cpu_second = [item.per_second for item in mine], [item.per_cpu_second for item in mine]
    multi = f"openssl speed -multi {CORES} rsa2048"
    lines = [
        Line("RS256 tokens/s", multi, rates, signed, 0.6),
        Line("RS256 tokens per CPU-second of the server", "openssl speed rsa2048", per_cpu_second, per_cpu, 0.8),
        Line("RS256 tokens/s beside OpenBao", "identity/oidc/token, RS256", rates, by_bao, 2.0),
    ]
    if node:
        lines.append(Line("RS256 tokens/s beside node", "oidc-provider, JWT access tokens", rates, by_node, 1.5))
    return lines, once


def _es256(bao: Peer) -> list[Line]:
    with our_server("ES256", CORES, runs=RUNS_OF_A_ROUND * (ROUNDS + 1)) as ours:
        ours.press(ROUNDS, 1.0)
        pairs = [(ours.press(number).per_second, _asked(bao, "ES256")) for number in range(ROUNDS)]
    return [Line("ES256 tokens/s", "identity/oidc/token, ES256", *_columns(pairs), 3.0)]


def _documents(bao: Peer) -> list[Line]:
    """Measure one worker's public documents beside OpenBao's keys."""
    paths = {"JWKS": "/.well-known/jwks.json", "discovery": "/.well-known/openid-configuration"}
    lines = []
    with our_server("RS256", 1, runs=1) as ours:
        for name, path in paths.items():
            asked = Peer(ours.port, (ours.pid,), {"it": request("GET", path, {})})
            pairs = [(_asked(asked, "it"), _asked(bao, "keys")) for _ in range(ROUNDS)]
            lines.append(Line(f"{name} requests/s, one worker", "oidc/.well-known/keys", *_columns(pairs), 2.0))
    return lines


def _memory() -> Line:
    """Measure the one worker's memory before the first and after the last of 100,000 tokens."""
    with our_server("ES256", 1, runs=MEMORY_TOKENS // 900 + 2) as ours:
        worker = family([ours.pid])[-1]
        before = resident_kib(worker)
        made = number = 0
        while made < MEMORY_TOKENS:
            asks = ours.asks[number % len(ours.asks) :] + ours.asks[: number % len(ours.asks)]
            made += whole(
                press(
                    ours.port, asks, connections=CONNECTIONS, seconds=10.0, pids=[ours.pid], most=MEMORY_TOKENS - made
                )
            ).answers[200]
            number += 1
        after = resident_kib(worker)
    return Line(f"MiB after {made:,} tokens", "at start", [after / 1024], [before / 1024], 1.1, at_most=True)


def _each_once(ours: Ours) -> float:
    """Give tokens per second when nothing is known of a run: each asks once."""
    asks = ours.asks_once
    pressed = press(ours.port, asks, connections=CONNECTIONS, seconds=60.0, pids=[ours.pid], most=len(asks))
    return whole(pressed).per_second


def _asked(peer: Peer, what: str) -> float:
    asks = [peer.asks[what]]
    return whole(press(peer.port, asks, connections=CONNECTIONS, seconds=SECONDS, pids=peer.pids)).per_second


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [mine for mine, _ in pairs], [other for _, other in pairs]


def _show(console: Console, lines: Sequence[Line]) -> None:
    table = Table(title=f"Identity tokens, {CORES} cores, audit and lease check on, median of {ROUNDS} rounds")
    for name in ("what", "beside", "ours", "theirs", "ratio", "aim", ""):
        table.add_column(name, justify="left" if name in {"what", "beside", ""} else "right")
    for line in lines:
        mine, theirs = f"{median(line.ours):,.0f}", f"{median(line.theirs):,.0f}"
        aim = f"{'≤' if line.at_most else '≥'} {line.aim}"
        table.add_row(
            line.name, line.beside, mine, theirs, f"{line.ratio:.2f}", aim, "" if line.is_reached else "not reached"
        )
    console.print(table)
