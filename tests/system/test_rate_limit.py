"""A server that takes few requests: who waits for a deployment waits as long as the server says, and then goes on."""

from contextlib import closing

import pytest

from cli_scene import Shell
from programs import running_server
from runpass.cli.exits import NOT_SUCCESSFUL
from runpass.errors import TooManyRequests
from runpass.local.admin import Admin
from runpass.secret import Secret

REQUESTS = 4
SECONDS = 2


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    limits = {"rate_limit_requests": REQUESTS, "rate_limit_seconds": SECONDS}
    with running_server(tmp_path_factory.mktemp("limited"), **limits) as server:
        yield Shell(server, server.found())


@pytest.fixture
def admin(shell):
    key = shell.admin
    made = Admin(shell.server.url, key.organization_id, key.api_key_id, Secret(key.api_key_secret))
    with closing(made):
        yield made


@pytest.fixture
def cancelled(shell, unique):
    """A deployment that has ended: without a runner it was never taken."""
    name = unique("limited")
    shell.run("project", "create", "--name", name)
    shell.run("template", "create", "--name", name, "--command", "true", "--attach", name)
    shell.run("environment", "create", "--name", name, "--project", name, "--template", name)
    deployment = shell.made("deployment", "start", name, "--project", name)
    shell.run("deployment", "cancel", deployment)
    return deployment


def ask_too_often(admin, deployment):
    with pytest.raises(TooManyRequests) as caught:  # noqa: PT012 -- which of them is refused is not known
        for _ in range(10 * REQUESTS):
            admin.call("GET", f"/environments/deployments/{deployment}")
    assert 1 <= caught.value.retry_after_seconds <= SECONDS


def test_an_admin_that_asked_too_often_waits_and_goes_on(admin, cancelled):
    ask_too_often(admin, cancelled)
    assert admin.wait(cancelled)["status"] == "CANCELLED"


def test_the_command_line_waits_and_goes_on(shell, admin, cancelled):
    ask_too_often(admin, cancelled)
    assert shell.json("deployment", "wait", cancelled, code=NOT_SUCCESSFUL)["status"] == "CANCELLED"
