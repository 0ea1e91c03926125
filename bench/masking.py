"""How fast a run's output is masked, in how much memory, and how long a mask takes to be ready.

Each case has a process of its own, and seconds are those of one core, whatever else the machine does meanwhile.
"masked" is the masking alone; "to lines" is all that happens to bytes until they are lines of the log. The bytes come
in the pieces that a runner reads from a pipe.
"""

import base64
import random
import string
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from runpass.runner.masking import Mask
from runpass.runner.output import CHUNK_BYTES, Lines
from runpass.secret import Secret

MB = 1_000_000
SAMPLE = 64 * CHUNK_BYTES
WANTED = 50
"""MB/s with 100 secrets."""
WORDS = """module.vpc aws_instance.web[0]: Refreshing state... [id=i-0a1b2c3d4e5f] Plan: 3 to add, 1 change, destroy.
Creating... Still creating... [10s elapsed] 2026-01-02T03:04:05.678Z INFO "level":"debug" => "10.0.0.0/16" """.split()  # noqa: SIM905 -- words of a log


@dataclass(frozen=True)
class Case:
    """What is printed, with how many secrets, and how much of it."""

    text: str
    secrets: int
    megabytes: int


CASES = (
    Case("a log", 1, 256),
    Case("a log", 100, 256),
    Case("a log", 600, 256),
    Case("a log in colours", 100, 128),
    Case("almost secrets", 100, 128),
    Case("nothing but secrets", 100, 128),
    Case("binary", 100, 128),
    Case("one character, and it is a secret's", 100, 64),
    Case("one line", 100, 100),
    Case("a log, 1 GB", 100, 1000),
)


def measure_masking() -> dict[str, Any]:
    rows = []
    for case in CASES:
        # One process for each, begun afresh: the memory of the one before would be counted again.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as alone:
            rows.append(alone.submit(measured, case).result())
    show(rows)
    return {f"{row['text']}, {row['secrets']} secrets": row for row in rows}


def measured(case: Case) -> dict[str, Any]:
    chooser = random.Random(7)  # noqa: S311 -- the same text every time
    secrets = [Secret(_secret(chooser)) for _ in range(case.secrets)]
    if "one character" in case.text:
        secrets.append(Secret("a" * 1000 + "b"))
    pieces = list(_pieces(case, chooser, [secret.reveal() for secret in secrets]))
    _forget_peak()
    before = _memory("VmRSS")
    mask, started = Mask(), time.process_time()
    mask.add(secrets)
    mask.compiled.matches(b"")
    ready = time.process_time() - started
    masked = _speed(case, pieces, mask, to_lines=False)
    to_lines = _speed(case, pieces, mask, to_lines=True)
    return {
        "text": case.text,
        "secrets": case.secrets,
        "megabytes": case.megabytes,
        "readyMs": round(ready * 1000, 1),
        "maskedMBps": round(masked),
        "toLinesMBps": round(to_lines),
        "moreMemoryMB": round(_memory("VmHWM") - before, 1),
    }


def _memory(what: str) -> float:
    """Give the memory of this process in MB: VmRSS, what it has, or VmHWM, the most it had since `_forget_peak`."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _speed(case: Case, pieces: list[bytes], mask: Mask, *, to_lines: bool) -> float:
    wanted = case.megabytes * MB // CHUNK_BYTES
    masker, lines = mask.masker(), Lines()
    started = time.process_time()
    for piece in islice(cycle(pieces), wanted):
        done = masker.feed(piece)
        if to_lines:
            lines.feed(done)
    return wanted * CHUNK_BYTES / MB / (time.process_time() - started)


def _secret(chooser: random.Random) -> str:
    kind = chooser.randrange(4)
    if kind == 0:
        return base64.b64encode(chooser.randbytes(32)).decode()
    if kind == 1:
        return chooser.randbytes(20).hex()
    alphabet = string.ascii_letters + string.digits + ("" if kind == 2 else "+/=!$%&' \"\\")
    return "".join(chooser.choice(alphabet) for _ in range(chooser.choice((12, 24, 40, 64))))


def _pieces(case: Case, chooser: random.Random, secrets: list[str]) -> Iterator[bytes]:
    match case.text:
        case "almost secrets":
            data = _joined(lambda: chooser.choice(secrets)[:-1])
        case "nothing but secrets":
            data = _joined(lambda: chooser.choice(secrets))
        case "binary":
            data = chooser.randbytes(SAMPLE)
        case "one line":
            data = b"x" * SAMPLE
        case "one character, and it is a secret's":
            data = b"a" * SAMPLE
        case "a log in colours":
            data = _joined(lambda: " ".join(map(_coloured, chooser.choices(WORDS, k=10))))
        case _:
            data = _joined(lambda: " ".join(chooser.choices(WORDS, k=10)))
    for at in range(0, SAMPLE, CHUNK_BYTES):
        yield data[at : at + CHUNK_BYTES]


def _coloured(word: str) -> str:
    """Give the word in bold green if it is one of a third of all words."""
    return f"\x1b[1;32m{word}\x1b[0m" if len(word) % 3 == 0 else word


def _joined(line: Any) -> bytes:
    lines: list[str] = []
    size = 0
    while size < SAMPLE:
        lines.append(line())
        size += len(lines[-1]) + 1
    return "\n".join(lines).encode()[:SAMPLE]


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Masking, one core")
    for name in ("what is printed", "secrets", "MB", "ready ms", "masked MB/s", "to lines MB/s", "memory MB"):
        table.add_column(name, justify="left" if name == "what is printed" else "right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    usual = next(row for row in rows if (row["text"], row["secrets"]) == ("a log", 100))
    print(f"wanted with 100 secrets: {WANTED} MB/s; seen: {usual['maskedMBps']} MB/s")
