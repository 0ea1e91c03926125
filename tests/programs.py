"""The real programs for tests: `runpass server` and `runpass runner` as child processes, and `runpass` itself.

    with running_server(tmp_path / "server") as server:
        admin = server.found("acme")
        server.cli("project", "create", "--name", "web", admin=admin)
        with running_runner(server, admin, tmp_path / "runner") as runner:
            ...

Each program has a free port, a directory of its own, and its standard error in a file that a failure quotes. It is in
a process group of its own, which is ended by its id: at the end of the block, or when the interpreter exits.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

from runpass.local.openbao import free_port

RUNPASS = Path(sys.executable).with_name("runpass")
START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02
ATTEMPTS = 3
"""How often a free port is tried: between finding it and listening on it, somebody else may have taken it."""


class ProgramFailedError(AssertionError):
    """A program did not do what a test needs; the message quotes the end of its standard error."""


def clean_environment(**settings: object) -> dict[str, str]:
    """Give an environment with nothing of the developer's own; `listen_port=1` becomes `RUNPASS_LISTEN_PORT=1`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    named = {f"RUNPASS_{name.upper()}": _text(value) for name, value in settings.items() if value is not None}
    return {**kept, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "COLUMNS": "200", **named}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def run_cli(
    *arguments: str, environment: Mapping[str, str] | None = None, stdin: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `runpass` to its end. With `check` any exit code but 0 fails the test and shows the output."""
    done = subprocess.run(
        [str(RUNPASS), *arguments],
        env=dict(clean_environment() if environment is None else environment),
        input="" if stdin is None else stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if check and done.returncode != 0:
        raise ProgramFailedError(
            f"runpass {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Poll until the condition holds; fails the test that waits for longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ProgramFailedError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(POLL_SECONDS)


class Program:
    """A running child process in its own process group."""

    def __init__(self, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(RUNPASS), *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        # Ends the group if nobody called `stop` before the interpreter exits.
        self._finalizer = weakref.finalize(self, _kill_group, self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program itself."""
        self._process.send_signal(number)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        """Poll until the condition holds; fails the test when the program ends first."""
        wait_until(lambda: self.exit_code is not None or condition(), what, seconds)
        if self.exit_code is not None:
            raise ProgramFailedError(f"the program ended with {self.exit_code}, before {what}")

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end and give the exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise ProgramFailedError(f"it did not end within {seconds:.0f} s\n{self.tail()}") from error

    def kill(self) -> None:
        """End it and all of its group at once, as a crash would (SIGKILL)."""
        self._finalizer()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it (SIGTERM, later SIGKILL); calling it again changes nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self._finalizer()

    def tail(self, lines: int = 40) -> str:
        """Give the end of what it wrote, for a failure's message."""
        return "\n".join(self.output.splitlines()[-lines:])


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass(frozen=True, slots=True)
class Founded:
    """An organization and its admin's API key; `key_file` is what `RUNPASS_API_KEY_FILE` names."""

    organization_id: str
    api_key_id: str
    api_key_secret: str
    key_file: Path


@dataclass(slots=True)
class RunningServer:
    """A server that is ready."""

    url: str
    data_dir: Path
    environment: dict[str, str]
    program: Program

    @property
    def log(self) -> str:
        """All that it wrote to standard error."""
        return self.program.output

    def found(self, name: str = "acme") -> Founded:
        """Make an organization with `runpass init`, while the server runs."""
        done = run_cli("init", "--organization", name, "--json", environment=self.environment)
        answer = json.loads(done.stdout)
        key_file = self.data_dir / f"key-{answer['apiKeyId']}.json"
        key_file.touch(mode=0o600)
        key_file.write_text(done.stdout, encoding="utf-8")
        return Founded(answer["organizationId"], answer["apiKeyId"], answer["apiKeySecret"], key_file)

    def client_environment(self, admin: Founded | None = None, **settings: object) -> dict[str, str]:
        """Give the environment of a client of this server."""
        key = {} if admin is None else {"api_key_file": admin.key_file}
        return clean_environment(**{"url": self.url, **key, **settings})

    def cli(
        self, *arguments: str, admin: Founded | None = None, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a client command against this server."""
        return run_cli(*arguments, environment=self.client_environment(admin), stdin=stdin, check=check)

    def json(self, *arguments: str, admin: Founded, stdin: str | None = None) -> Any:
        """Run a client command with `--json` and give what it printed."""
        return json.loads(self.cli(*arguments, "--json", admin=admin, stdin=stdin).stdout)

    def http(self, admin: Founded | None = None) -> httpx2.Client:
        """Give an HTTP client whose paths are below this server; whoever asks closes it."""
        auth = (admin.api_key_id, admin.api_key_secret) if admin else None
        return httpx2.Client(base_url=self.url, auth=auth, trust_env=False, timeout=30)

    def restart(self) -> None:
        """Stop it and start it again on the same port and data."""
        self.program.stop()
        self.program = _started_server(self.url, self.environment, self.program.log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.stop()


def start_server(directory: Path, *, port: int | None = None, **settings: object) -> RunningServer:
    """Start `runpass server` with its data below `directory` and wait until it is ready; `stop` its `program` later.

    Settings are named as in `ServerSettings`. Several servers may share a `data_dir` or a `database_url`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    data_dir = Path(str(settings.pop("data_dir", directory / "data")))
    for attempt in range(1, ATTEMPTS + 1):
        chosen = port or free_port()
        environment = clean_environment(data_dir=data_dir, listen_port=chosen, **settings)
        url = str(settings.get("public_url") or f"http://127.0.0.1:{chosen}")
        log = directory / f"server-{chosen}.log"
        try:
            return RunningServer(url, data_dir, environment, _started_server(url, environment, log))
        except ProgramFailedError as error:
            if port or attempt == ATTEMPTS or "in use" not in str(error).lower():
                raise
    raise AssertionError("not reached")


@contextlib.contextmanager
def running_server(directory: Path, *, port: int | None = None, **settings: object) -> Iterator[RunningServer]:
    """A real server for the time of a block."""
    with start_server(directory, port=port, **settings) as server:
        yield server


def _started_server(url: str, environment: Mapping[str, str], log: Path) -> Program:
    program = Program(["server"], environment=environment, log=log)
    try:
        with httpx2.Client(base_url=url, trust_env=False, timeout=5, verify=not url.startswith("https")) as http:
            program.wait_until(lambda: _is_ready(http), "the server is ready")
    except ProgramFailedError as error:
        program.stop()
        raise ProgramFailedError(f"{error}\n{program.tail()}") from error
    return program


def _is_ready(http: httpx2.Client) -> bool:
    try:
        return http.get("/readyz").status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False


@dataclass(slots=True)
class RunningRunner:
    """A runner that the server knows."""

    name: str
    state_dir: Path
    work_dir: Path
    environment: dict[str, str]
    program: Program

    @property
    def log(self) -> str:
        """All that it wrote to standard error."""
        return self.program.output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.stop()
        shutil.rmtree(self.work_dir, ignore_errors=True)


def start_runner(server: RunningServer, admin: Founded, directory: Path, **settings: object) -> RunningRunner:
    """Start `runpass runner` with a fresh join token and wait until the server knows it.

    Settings are named as in `RunnerSettings`; without `pool` it joins the default one. Where nothing isolates runs
    (no root, no bubblewrap), give `allow_unisolated=True`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = str(settings.pop("name", f"runner-{os.urandom(4).hex()}"))
    pool = str(settings.pop("pool", "default"))
    work_dir = _passable_directory()
    token = server.cli("join-token", "create", "--pool", pool, admin=admin).stdout.strip()
    chosen = {
        "url": server.url,
        "state_dir": directory / "state",
        "work_dir": work_dir,
        "name": name,
        "join_token": token,
        "drain_seconds": 2,
        "grace_seconds": 1,
    }
    environment = clean_environment(**{**chosen, **settings})
    program = Program(["runner"], environment=environment, log=directory / f"{name}.log")
    runner = RunningRunner(name, Path(str(chosen["state_dir"])), work_dir, environment, program)
    try:
        with server.http(admin) as http:
            program.wait_until(lambda: name in _runner_names(http, admin), f"the runner {name} joined")
    except ProgramFailedError as error:
        runner.__exit__()
        raise ProgramFailedError(f"{error}\n{program.tail()}") from error
    return runner


@contextlib.contextmanager
def running_runner(
    server: RunningServer, admin: Founded, directory: Path, **settings: object
) -> Iterator[RunningRunner]:
    """A real runner for the time of a block."""
    with start_runner(server, admin, directory, **settings) as runner:
        yield runner


def _runner_names(http: httpx2.Client, admin: Founded) -> set[str]:
    answer = http.get("/api/runners", params={"organizationId": admin.organization_id})
    return {runner["name"] for runner in answer.raise_for_status().json()}


def _passable_directory() -> Path:
    """Give a fresh directory that other users can pass through: pytest's own temporary directories are closed."""
    made = Path(tempfile.mkdtemp(prefix="runpass-work-", dir="/var/tmp"))
    made.chmod(0o711)
    return made
