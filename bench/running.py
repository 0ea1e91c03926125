"""Runs that go on, many at once, made straight in the database: whoever measures minting needs their leases."""

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.load import request
from runpass.clock import SYSTEM_CLOCK
from runpass.protocol.registration import Isolation
from runpass.protocol.version import LEASE_SECRET_HEADER, PREFIX
from runpass.server.deployments.run_leases import LeaseRules, take
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from factories import Tenant, World

MAX_CAPACITY = 256
"""Of one runner."""


@dataclass(frozen=True)
class Running:
    """How the runners of runs that go on ask for the job's identity token."""

    asks: tuple[bytes, ...]


def start_runs(settings: ServerSettings, count: int, name: str) -> Running:
    """Start runs of one organization, each on its own environment, on as few runners as can be; nobody works."""
    parts = open_parts(settings)
    try:
        world: Any = World(parts.database, parts.cipher, SYSTEM_CLOCK)  # type: ignore[arg-type]
        tenant = Tenant(world, name)
        project = tenant.project()
        template = tenant.template(project)
        tenant.assign(tenant.credential(), project)
        rules = LeaseRules(parts.database, parts.cipher, SYSTEM_CLOCK, timedelta(seconds=settings.lease_seconds))
        asks = []
        for number in range(count):
            if number % MAX_CAPACITY == 0:
                joined = tenant.join(Isolation.UID, capacity=MAX_CAPACITY)
            tenant.queue(tenant.environment(project, template, name=f"environment {number}"))
            lease = take(rules, joined.runner)
            if lease is None:
                raise SystemExit("the runner got no run")
            body = b'{"fencingToken":%d,"purpose":{"kind":"job"}}' % lease.fencing_token
            headers = {
                "Authorization": f"Bearer {joined.key.reveal()}",
                LEASE_SECRET_HEADER: lease.lease_secret.reveal(),
                "Content-Type": "application/json",
            }
            asks.append(request("POST", f"{PREFIX}/run-leases/{lease.lease_id}/identity-token", headers, body))
        return Running(tuple(asks))
    finally:
        parts.close()
