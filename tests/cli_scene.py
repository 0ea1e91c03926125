"""One real server for all tests of the command line, and commands that run against it in this process."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from programs import Founded, RunningServer, running_server
from runpass.cli.main import app


class Shell:
    """Runs commands as one API key; the exit code has to be the expected one."""

    def __init__(self, server: RunningServer, admin: Founded) -> None:
        self.server = server
        self.admin = admin
        self._environment = {"RUNPASS_URL": server.url, "RUNPASS_API_KEY_FILE": str(admin.key_file), "COLUMNS": "200"}

    def run(self, *arguments: str, code: int = 0, stdin: str | None = None, **settings: object) -> Result:
        """Run a command; `settings` become `RUNPASS_*` variables."""
        environment = {f"RUNPASS_{name.upper()}": str(value) for name, value in settings.items()}
        result = CliRunner().invoke(app, list(arguments), input=stdin, env=self._environment | environment)
        assert result.exit_code == code, f"{arguments} {result.output}{result.exception!r}"
        return result

    def made(self, *arguments: str, **more: Any) -> str:
        """Run a command that makes a thing, and give what it printed: the id."""
        return self.run(*arguments, **more).stdout.strip()

    def json(self, *arguments: str, **more: Any) -> Any:
        """Run a command with `--json` and give what it printed."""
        return json.loads(self.run(*arguments, "--json", **more).stdout)


@pytest.fixture(scope="session")
def cli_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose runners learn soon of what was aborted or revoked."""
    with running_server(tmp_path_factory.mktemp("cli"), long_poll_seconds=1, lease_seconds=3) as server:
        yield server


@pytest.fixture(scope="session")
def shell(cli_server: RunningServer) -> Shell:
    """The admin of an organization that has no runner."""
    return Shell(cli_server, cli_server.found("acme"))


@pytest.fixture(scope="session")
def run(shell: Shell) -> Callable[..., Result]:
    return shell.run


@pytest.fixture(scope="session")
def made(shell: Shell) -> Callable[..., str]:
    return shell.made


@pytest.fixture(scope="session")
def listed(shell: Shell) -> Callable[..., Any]:
    return shell.json
