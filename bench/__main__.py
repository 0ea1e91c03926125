"""Run every benchmark on one stage and write what was seen."""

import json
import os
import platform
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.by_hand import BareCalls, Commands
from bench.deployments import deployments_per_minute, time_to_secret
from bench.play import Play, open_play
from bench.samples import Row

RUNS = 50
RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
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
    RESULTS.write_text(
        json.dumps(
            {
                "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
                "isolation": play.isolation,
                "timeToSecret": {row.name: row.as_json() for row in rows},
                "ratios": {
                    "byHandOverOurs": round(by_hand.p50 / ours.p50, 2),
                    "oursOverBareCalls": round(ours.p50 / bare.p50, 2),
                },
                "deploymentsPerMinute": round(per_minute, 1),
            },
            indent=2,
        )
        + "\n",
        encoding="utf-8",
    )


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
    main()
