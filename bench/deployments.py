"""What a deployment costs from the outside: from the request to the first command that has its secret."""

import time

from bench.play import Play
from bench.samples import Row

COMMAND = 'test -n "$DB_PASSWORD" && echo "ready $(date +%s%N)"'


def time_to_secret(play: Play, runs: int) -> Row:
    """Time from `POST …/deployments` to the first command, on an idle runner; the command tells its own time."""
    environment = play.environment("latency", play.template("latency", COMMAND))
    samples = []
    for number in range(runs + 3):
        sent = time.time_ns()
        deployment = play.api.call("POST", f"/environments/{environment}/deployments", {})["id"]
        ended = play.api.wait(deployment)
        if ended["status"] != "SUCCESS":
            raise SystemExit(f"a deployment of the benchmark ended as {ended['status']}: {ended['error']}")
        if number >= 3:
            samples.append((_told(play, deployment) - sent) / 1e6)
    return Row("runpass deployment", tuple(samples))


def deployments_per_minute(play: Play, *, count: int, at_once: int) -> float:
    """Deployments finished per minute, `true` as the command, over environments of their own."""
    template = play.template("throughput", "true")
    environments = [play.environment(f"throughput-{number}", template) for number in range(at_once * 4)]
    started = time.monotonic()
    queued = [
        play.api.call("POST", f"/environments/{environments[number % len(environments)]}/deployments", {})["id"]
        for number in range(count)
    ]
    for deployment in queued:
        status = play.api.wait(deployment)["status"]
        if status != "SUCCESS":
            raise SystemExit(f"a deployment of the benchmark ended as {status}")
    return count / (time.monotonic() - started) * 60


def _told(play: Play, deployment: str) -> int:
    log = play.api.log(deployment)
    return next(int(line.split()[1]) for line in log.splitlines() if line.strip().startswith("ready "))
