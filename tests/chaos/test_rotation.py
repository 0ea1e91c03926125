"""Keys rotate every ten seconds, servers crash, and not one login is refused.

`CHAOS_SECONDS` says for how long: 40 in `make test`, 600 in `make chaos`.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from issuer_fleet import Fleet, Run, Seen, make_vault_fetch, most, proxy, set_up_vault
from runpass.vault.client import VaultClient

SECONDS = float(os.environ.get("CHAOS_SECONDS", "40"))
ROTATIONS = max(3, int(SECONDS / 12))
KILL_EVERY_SECONDS = 15.0
FETCH_EVERY_SECONDS = 0.7
RUNS = 3


@pytest.mark.timeout(3 * SECONDS + 120)
def test_not_one_login_is_refused_while_keys_rotate_and_servers_crash(
    *,
    empty_postgresql_url: str,
    tmp_path: Path,
    vault: VaultClient,
    vault_root: VaultClient,
    jwt_mount: str,
    unique: Callable[[str], str],
):
    seen, stop = Seen(), threading.Event()
    with ExitStack() as stack:
        fleet = Fleet(tmp_path, empty_postgresql_url)
        fleet.start(stack)
        admin = fleet.servers[0].found("acme")
        set_up_vault(vault_root, jwt_mount, stack.enter_context(proxy(fleet, seen)), admin.organization_id)
        runs = [Run(fleet, admin, vault, jwt_mount, seen, stop, "") for _ in range(RUNS)]
        api = runs[0].api()
        stack.callback(api.close)
        api.enable_oidc()
        for run in runs:
            run.project = api.project(unique("project"))
            run.start()
        try:
            let_it_go_on(fleet, seen, vault, jwt_mount)
        finally:
            stop.set()
            for run in runs:
                run.join(30)
    print(f"{seen.rotations} rotations, {seen.logins} logins, {seen.kills} crashes, {seen.fetches} fetches,")
    print(f"{seen.unavailable} mints refused, {seen.unreachable} not answered, {seen.too_late} logins too late")
    assert seen.crashed == []
    assert seen.refused == [], most(seen.kids)
    assert seen.rotations >= ROTATIONS
    assert seen.kills >= 1
    assert seen.fetches >= SECONDS / 4
    assert seen.logins >= 2 * SECONDS


def let_it_go_on(fleet: Fleet, seen: Seen, vault: VaultClient, mount: str) -> None:
    """Until the time is over and enough has happened, or the machine is so slow that it never will."""
    began = time.monotonic()
    next_kill, next_fetch = began + KILL_EVERY_SECONDS, began
    crashing: list[threading.Thread] = []
    while (passed := time.monotonic() - began) < SECONDS or (seen.rotations < ROTATIONS and passed < 2 * SECONDS):
        if time.monotonic() >= next_fetch:
            make_vault_fetch(vault, mount)
            next_fetch += FETCH_EVERY_SECONDS
        if time.monotonic() >= next_kill and not any(thread.is_alive() for thread in crashing):
            crashing = [threading.Thread(target=fleet.kill_and_restart)]
            crashing[0].start()
            seen.kills += 1
            next_kill += KILL_EVERY_SECONDS
        if seen.crashed or seen.refused:
            break
        time.sleep(0.1)
    for thread in crashing:
        thread.join(60)
