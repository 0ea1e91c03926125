"""A real runner as a child process, on a control plane that is a fake on a socket."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from fake_control_plane import JOIN_TOKEN
from runpass.protocol.reports import LogLevel

NOBODY = 65534
CANARY = "canary-of-the-hosts-environment"

# The interpreter may stand where only root can read, so a runner of another user imports everything, and makes one
# request and one thread for what is imported late, before it becomes that user.
SCRIPT = """
import asyncio, os, sys
from runpass.errors import RunpassError
from runpass.observability.logging import configure
from runpass.runner.agent import main
from runpass.runner.control_plane import ControlPlane
from runpass.runner.settings import load_settings

async def warm_up(url):
    control_plane = ControlPlane(url)
    try:
        await asyncio.to_thread(len, "")
        await control_plane.next_lease(0)
    except RunpassError:
        pass
    await control_plane.aclose()

configure("debug")
settings = load_settings().settings
if len(sys.argv) > 1:
    asyncio.run(warm_up(settings.url))
    os.setgroups([])
    os.setgid(int(sys.argv[1]))
    os.setuid(int(sys.argv[1]))
try:
    main(settings)
except RunpassError as error:
    sys.exit(f"{error.code}: {error.message}")
"""


class RunnerProcess:
    """Context manager. Its directories are outside pytest's, which other users cannot pass through."""

    def __init__(self, plane, *, user=None, bwrap=False, base=None, **settings):
        self._owns_base = base is None
        self.base = base or Path(tempfile.mkdtemp(prefix="runpass-test-", dir="/tmp"))
        self.base.chmod(0o711)
        self.plane = plane
        self.state_dir, self.work_dir = self.base / "state", self.base / "work"
        self._user = user if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.base, self._user, self._user)
        program_path = os.environ["PATH"] if bwrap else str(self.base)  # nothing to find there
        named = {"url": plane.url, "state_dir": self.state_dir, "work_dir": self.work_dir, "grace_seconds": 0.5}
        self._environment = {
            "PATH": program_path,
            "LANG": "C.UTF-8",
            "HOST_CANARY": CANARY,
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
            "RUNPASS_JOIN_TOKEN": JOIN_TOKEN,
            **{f"RUNPASS_{name.upper()}": str(value) for name, value in {**named, **settings}.items()},
        }
        self.log_file = self.base / f"runner-{time.monotonic_ns()}.log"

    def __enter__(self):
        return self.start()

    def start(self):
        user = [] if self._user is None else [str(self._user)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, *user], env=self._environment, stdin=subprocess.DEVNULL, stderr=log
            )
        self.pid = self.process.pid
        return self

    def __exit__(self, *_):
        self.stop()
        if self._owns_base:
            shutil.rmtree(self.base, ignore_errors=True)

    def stop(self):
        if self.process.poll() is None:
            for _ in range(2):
                self.process.send_signal(signal.SIGTERM)
                time.sleep(0.02)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    @property
    def log(self):
        return self.log_file.read_text()

    def place_of(self, lease):
        """Give the directory of a run."""
        return self.work_dir / f"{lease.run.deployment_id}-{lease.fencing_token}"

    def workspaces(self):
        return [path.name for path in self.work_dir.iterdir() if path.name != ".lock"]


def new_mark():
    """Give an argument for `sleep` that no other process of this machine has."""
    return f"300.{uuid4().int % 10**12:012}"


def living(mark):
    """Give the processes with this text among their arguments."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            arguments = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in arguments:
            found.append(int(path.name))
    return found


def until(what, seconds=10.0):
    """Look again and again until it is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.01)


def attack(plane, what):
    """Have a job try something, and give the run's outcome and output."""
    lease = plane.offer(f"{{ {what}; }} 2>&1")
    finish = plane.wait_finished(lease)
    return finish.outcome, plane.log(lease, LogLevel.INFO)
