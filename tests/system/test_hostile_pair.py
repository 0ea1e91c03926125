"""Two hostile runs at once: each has something to lose and tries everything to get at what the other one has."""

import json
import os
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fake_control_plane import FakeControlPlane, variable
from isolated_runners import BOTH_WAYS, isolated
from runner_process import RunnerProcess, until
from runpass.protocol.reports import Outcome

ATTACK = Path(__file__).parents[1] / "hostile_run.py"
PYTHON = shutil.which("python3", path="/usr/bin:/bin")

pytestmark = pytest.mark.skipif(PYTHON is None, reason="the machine has no Python for runs")


@dataclass
class Fight:
    """What came of it."""

    kind: str
    runner: RunnerProcess
    secrets: list[str]
    things: list[dict[str, Any]]
    got: list[list[str]]
    listening: list[str]


@pytest.fixture(scope="module", params=BOTH_WAYS)
def fought(request):
    with FakeControlPlane() as plane, isolated(plane, request.param, capacity=2) as runner:
        runner.log_file.chmod(0o600)
        secrets = [f"secret-{uuid4().hex}" for _ in range(2)]
        with ExitStack() as stack:
            door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            door.settimeout(30)
            script = f"cat >attack.py <<'END'\n{ATTACK.read_text()}\nEND\n{PYTHON} -I attack.py {door.getsockname()[1]}"
            leases = [plane.offer(script, variables=(variable("SECRET", item, sensitive=True),)) for item in secrets]
            talks = [_accept(stack, door) for _ in leases]
            things = [_hear(talk) for talk in talks]
            roots = [f"{runner.place_of(lease)}/workspace" for lease in leases]
            for talk, own in zip(talks, things, strict=True):
                other = 1 - roots.index(own["root"])
                orders = {
                    "pids": {"other run": _python_of(leases[other]), "runner": runner.pid, "server": os.getpid()},
                    "files": [str(runner.state_dir), f"{runner.state_dir}/runner.json", str(runner.log_file)],
                    "other": next(thing for thing in things if thing["root"] == roots[other]),
                    "secret": secrets[other],
                }
                _tell(talk, orders)
            got = [_hear(talk) for talk in talks]
            listening = _listening(runner.pid)
            for talk in talks:
                _tell(talk, "end")
        finishes = [plane.wait_finished(lease) for lease in leases]
        assert [finish.outcome for finish in finishes] == [Outcome.SUCCESS] * 2, [plane.log(item) for item in leases]
        yield Fight(request.param, runner, secrets, things, got, listening)


def _accept(stack, door):
    connection = stack.enter_context(door.accept()[0])
    return stack.enter_context(connection.makefile("rw"))


def _hear(talk):
    return json.loads(talk.readline())


def _tell(talk, what):
    talk.write(json.dumps(what) + "\n")
    talk.flush()


def _python_of(lease):
    """Give the number that the hostile program has for the machine, not that of its own namespace."""
    mark = f"ENV0_DEPLOYMENT_LOG_ID={lease.run.deployment_id}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes() and b"attack.py" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    (pid,) = found
    return pid


def _listening(pid):
    """Give the sockets of a process that wait for connections."""
    open_ones = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            open_ones.add(str(link.readlink()))
        except OSError:
            continue
    lines = [line for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return [line for line in lines if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in open_ones]


def test_neither_gets_at_anything_of_the_other_the_runner_or_the_server(fought):
    assert fought.got == [[], []]


def test_the_runner_listens_to_nobody(fought):
    assert fought.listening == []


def test_nothing_that_they_made_outside_their_directories_stays(fought):
    assert fought.runner.workspaces() == []
    for directory in (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 -- looked through, not used
        names = [path.name for path in directory.iterdir()]
        assert not [name for name in names if any(secret in name for secret in fought.secrets)]
    if fought.kind == "uid":
        users = {str(thing["uid"]) for thing in fought.things}
        for name in ("shm", "sem", "msg"):
            lines = [line.split() for line in Path("/proc/sysvipc", name).read_text().splitlines()[1:]]
            assert not [line for line in lines if users & set(line)]
        until(lambda: not users & _with_keys())


def _with_keys():
    path = Path("/proc/key-users")
    return {line.partition(":")[0].strip() for line in path.read_text().splitlines()} if path.exists() else set()
