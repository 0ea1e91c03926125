"""Run every benchmark and write what was seen; `python -m bench lists` runs that part alone."""

import json
import os
import platform
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.by_hand import BareCalls, Commands
from bench.deployments import deployments_per_minute, time_to_secret
from bench.inline import measure_inline
from bench.issuers import measure_issuers
from bench.lists import measure_lists
from bench.masking import measure_masking
from bench.pages import measure_pages
from bench.play import Play, open_play
from bench.samples import Row
from bench.tokens import measure_tokens

RUNS = 50
RESULTS = Path(__file__).parent / "results.json"


def main(parts: list[str]) -> None:
    chosen = {name: part for name, part in PARTS.items() if not parts or name in parts}
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    for part in chosen.values():
        keep(part())


def keep(found: dict[str, Any]) -> None:
    """Put what one part found into the results, and leave those of the other parts as they are."""
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    RESULTS.write_text(json.dumps(before | {"machine": machine} | found, indent=2) + "\n", encoding="utf-8")


def measure_deployments() -> dict[str, Any]:
    with ExitStack() as stack:
        play = open_play(stack)
        rows = [
            time_to_secret(play, RUNS),
            BareCalls(play).measure(RUNS),
            Commands(play).measure(RUNS),
        ]
        per_minute = deployments_per_minute(play, count=160, at_once=8)
    show(play, rows, per_minute)
    ours, bare, by_hand = rows
    return {
        "isolation": play.isolation,
        "timeToSecret": {row.name: row.as_json() for row in rows},
        "ratios": {
            "byHandOverOurs": round(by_hand.p50 / ours.p50, 2),
            "oursOverBareCalls": round(ours.p50 / bare.p50, 2),
        },
        "deploymentsPerMinute": round(per_minute, 1),
    }


PARTS = {
    "deployments": measure_deployments,
    "inline": lambda: measure_inline(RUNS * 4),
    "issuers": lambda: measure_issuers(50),
    "lists": lambda: {"lists": measure_lists()},
    "pages": lambda: {"pages": measure_pages()},
    "masking": lambda: {"masking": measure_masking()},
    "tokens": lambda: {"tokens": measure_tokens()},
}


def show(play: Play, rows: list[Row], per_minute: float) -> None:
    console = Console()
    table = Table(title=f"Time to secret, {RUNS} runs each, isolation: {play.isolation}")
    for name in ("what", "p50 ms", "p95 ms"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for row in rows:
        table.add_row(row.name, f"{row.p50:.1f}", f"{row.p95:.1f}")
    console.print(table)
    ours, bare, by_hand = rows
    console.print(f"by hand takes {by_hand.p50 / ours.p50:.2f}x as long as a deployment does")
    console.print(f"a deployment takes {ours.p50 / bare.p50:.1f}x the two bare Vault calls")
    console.print(f"deployments finished per minute, one runner, 8 at once: {per_minute:.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])
