"""Deployments go on while runners, server and OpenBao fail under them, and nothing is left behind.

`CHAOS_DEPLOYMENTS` says how many: 20 in `make test`, 200 in `make chaos`; `CHAOS_SEED` repeats a run's dice.
"""

import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from chaos_play import FAULTS, FIRST_TTL, RUNNERS, Faults, Play, SealableOpenBao, again
from runpass.local.stage import throw_away_stage
from runpass.runner.cgroup import PREFIX, own_directory
from runpass.vault.errors import VaultFailure
from scene import Scene

DEPLOYMENTS = int(os.environ.get("CHAOS_DEPLOYMENTS", "20"))
SEED = os.environ.get("CHAOS_SEED") or str(random.randrange(10**9))  # noqa: S311 -- dice
AT_ONCE = 5
DEAD_SECONDS = 10.0
"""After the end of a run, with OpenBao, a runner and the server there: a token that was reported is gone by then."""


@pytest.fixture
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    with ExitStack() as stack:
        stage = stack.enter_context(throw_away_stage(lease_seconds=3))
        openbao = stack.enter_context(SealableOpenBao())
        (api,) = stage.found(["Chaos"])
        stack.callback(api.close)
        directory = stage.root / "marks"
        directory.mkdir()
        directory.chmod(0o1777)
        scene = Scene(stage, openbao, api, api)
        play = Play(stage, openbao, scene, stack, directory, random.Random(SEED))  # noqa: S311 -- dice
        play.open_proxies()
        play.start_server()
        for name in RUNNERS:
            play.start_runner(name)
        with openbao.root() as operator:
            operator.write("sys/namespaces/team")
        play.set_up("")
        play.set_up("team")
        play.plain = api.project("plain")
        yield play


@pytest.mark.timeout(120 + 6 * DEPLOYMENTS)
def test_every_run_ends_and_nothing_is_left_whatever_fails(play: Play):
    print(f"seed {SEED}")
    deployments = run_all(play)
    print(f"faults {dict(play.faults)}, ends {sorted(play.statuses.values())}")
    assert set(play.faults) == set(FAULTS), "a kind of fault did not happen"
    assert len(play.ended_at) == len(deployments) >= DEPLOYMENTS
    assert set(play.statuses.values()) <= {"SUCCESS", "FAILURE", "INTERNAL_FAILURE"}
    assert "SUCCESS" in play.statuses.values()
    tokens_die(play)
    for deployment in deployments:
        log = again(lambda one=deployment: play.log_of(one))
        lost = {key for key, message in play.acknowledged[deployment].items() if log.get(key) != message}
        assert lost == set(), f"lines of {deployment} that were shown once are gone or changed"
        marks = (play.directory / deployment).read_text().split() if (play.directory / deployment).exists() else []
        assert len(marks) == len(set(marks)), f"a step of {deployment} ran twice"
    nothing_stays(play)


def run_all(play: Play) -> list[str]:
    """Keep some deployments going until there were enough and every kind of fault has happened."""
    deployments: list[str] = []
    faults = Faults(play)
    faults.start()
    while True:
        enough = len(deployments) >= DEPLOYMENTS and set(play.faults) == set(FAULTS)
        if enough or len(deployments) >= 3 * DEPLOYMENTS:
            faults.end()
            if len(play.ended_at) == len(deployments):
                return deployments
        elif len(deployments) - len(play.ended_at) < AT_ONCE:
            deployments.append(play.deploy(len(deployments)))
        if faults.failure is not None:
            raise faults.failure
        play.look(deployments)
        with suppress(VaultFailure):  # it is sealed
            play.look_at_tokens()
        time.sleep(0.1)


def tokens_die(play: Play) -> None:
    """Reported tokens are swept soon, and after the first TTL there is none at all: OpenBao and the server agree."""
    reported = play.reported()
    assert reported
    deadline = time.monotonic() + FIRST_TTL + 3 * DEAD_SECONDS
    while alive := play.look_at_tokens():
        assert time.monotonic() < deadline, f"tokens live on after their first TTL: {alive}"
        time.sleep(0.2)
    lived = {
        one: play.alive_at[one] - ended - play.overlap(ended, play.alive_at[one])
        for one, ended in play.ended_at.items()
        if one in play.alive_at and one in reported
    }
    worst = max(lived.values(), default=0.0)
    print(f"the longest that a reported token lived after its run: {worst:.1f} s")
    assert worst <= DEAD_SECONDS, lived
    while True:
        counts = again(play.scene.api.outstanding)["vaultTokens"]
        if counts["known"] == 0:
            break
        assert time.monotonic() < deadline, counts
        time.sleep(0.2)


def nothing_stays(play: Play) -> None:
    """No workspace, no process that runs in one, and no control group of a run."""
    works = [play.stage.root / f"work-{name}" for name in RUNNERS]
    deadline = time.monotonic() + 20
    while left := [path for work in works for path in work.iterdir() if not path.name.startswith(".")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    wanted = re.compile("|".join(re.escape(str(work)) for work in works).encode())
    running = [process for process in Path("/proc").glob("[0-9]*") if wanted.search(arguments_of(process))]
    assert [arguments_of(process) for process in running] == []
    groups = own_directory()
    runs = [] if groups is None else groups.glob(f"{PREFIX}*")
    assert [run.name for run in runs if any(deployment in run.name for deployment in play.statuses)] == []


def arguments_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
