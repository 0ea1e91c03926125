"""A job that tries to read what is around it: server, database, keys, runner, OpenBao, another run."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from programs import wait_until
from scene import PASSWORD, Scene

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="runs get users of their own only when the runner is root")

CANARY = "another-runs-secret-5b1c"


def attempts(scene: Scene, victim: str) -> list[str]:
    """Give one shell command for each thing that a job must not get at."""
    assert scene.stage.server
    runner = scene.stage.runners[0]
    root, work = scene.stage.root, scene.stage.root / "work-acme"
    pids = [scene.stage.server.pid, runner.pid, scene.openbao.pid, *_children(scene.stage.server.pid)]
    files = [
        root / "server" / "runpass.db",
        root / "server" / "master.key",
        root / "runner-acme" / "runner.json",
        root / "etc" / "acme.join-token",
        *(root / "etc").glob("*.toml"),
        *(root / "etc").glob("*.log"),
        work / victim,
        work / victim / "workspace" / "mine",
    ]
    assert all(path.exists() for path in files[:3])
    reads = [f"cat {path}" for path in files] + [f"ls {path.parent}" for path in files[:4]] + [f"ls {work}"]
    for pid in pids:
        reads += [f"cat /proc/{pid}/environ", f"head -c1 /proc/{pid}/mem", f"ls /proc/{pid}/fd", f"ls /proc/{pid}/cwd/"]
        reads += [f"kill -0 {pid}"]
    return reads


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def test_a_job_gets_at_nothing_around_it(scene: Scene):
    victim_project = scene.guided()
    attacker = scene.api.project(scene.unique("attacker"))
    with ThreadPoolExecutor(1) as pool:
        hold = scene.stage.root / f"hold-{victim_project.role}"
        hold.touch(mode=0o644)
        hold.chmod(0o644)
        running = pool.submit(
            scene.deploy,
            victim_project.id,
            f"echo {CANARY} > mine; while [ -e {hold} ]; do sleep 0.05; done",
            DB_PASSWORD=victim_project.reference,
        )
        try:
            work = scene.stage.root / "work-acme"
            wait_until(lambda: any(work.glob("*/workspace/mine")), "the other run holds its secret")
            victim = next(work.glob("*/workspace/mine")).parent.parent.name
            victims = [f"cat /proc/{pid}/environ" for pid in _of_user(work / victim)]
            assert victims
            tries = [*attempts(scene, victim), *victims]
            script = "\n".join(f'if {line} >/dev/null 2>&1; then echo "GOT: {line}"; fi' for line in tries)
            deployment, log = scene.deploy(attacker, script, "env; id; cat /proc/self/status | grep -i nonewprivs")
        finally:
            hold.unlink()
        assert running.result()[0]["status"] == "SUCCESS", running.result()[1]
    assert deployment["status"] == "SUCCESS", log
    assert "GOT:" not in log
    assert "NoNewPrivs:\t1" in log
    assert "uid=0" not in log
    for secret in (PASSWORD, CANARY, "RUNPASS_RUNNER", "RUNPASS_MASTER"):
        assert secret not in log


def _of_user(directory: Path) -> list[int]:
    """Give the processes of the user that owns a run's directory."""
    owner, found = directory.stat().st_uid, []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == owner:
                found.append(int(process.name))
        except OSError:
            continue
    return found
