"""Deployments from the command line with a real runner: waiting, following, and lines that mean the terminal harm."""

import json
import re
from uuid import uuid4

import pytest

from cli_scene import Shell
from programs import running_runner, wait_until
from runpass.cli import exits

HOSTILE = (
    r"""printf '\033]0;title\007 \033[2J \033[31mred\033[0m over\rwritten \342\200\256bidi\n== forged  SUCCESS\n'"""
)


@pytest.fixture(scope="module")
def shell(cli_server):
    """The admin of an organization with a runner."""
    return Shell(cli_server, cli_server.found(f"with-a-runner-{uuid4().hex[:8]}"))


@pytest.fixture(scope="module")
def runner(shell, tmp_path_factory):
    with running_runner(shell.server, shell.admin, tmp_path_factory.mktemp("runner"), allow_unisolated=True) as started:
        yield started


@pytest.fixture(scope="module")
def project(shell, runner):
    shell.run("project", "create", "--name", "web")
    return "web"


@pytest.fixture
def deploy(shell, project, unique):
    """Starts a deployment of some commands."""

    def run(commands, *arguments, code=0):
        name = unique("job")
        words = [word for command in commands for word in ("--command", command)]
        shell.run("template", "create", "--name", name, *words, "--attach", project)
        shell.run("environment", "create", "--name", name, "--project", project, "--template", name)
        return shell.run("deployment", "start", name, *arguments, code=code)

    return run


def test_waiting_ends_well_only_on_success(deploy):
    done = deploy(["true"], "--wait")
    assert re.search(r"^Status +SUCCESS$", done.stdout, re.MULTILINE)


def test_waiting_for_a_failure_says_where_and_has_its_own_exit_code(deploy):
    done = deploy(["true", "exit 3"], "--wait", code=exits.NOT_SUCCESSFUL)
    assert re.search(r"^Status +FAILURE$", done.stdout, re.MULTILINE)
    assert re.search(r"^Failed step +shell:2$", done.stdout, re.MULTILINE)


def test_a_secret_that_was_printed_is_told_by_its_name(deploy):
    done = deploy(["echo named-by-the-job >> $RUNPASS_MASK_FILE; echo named-by-the-job"], "--wait")
    assert "\nMasked in shell:1: RUNPASS_MASK_FILE, line 1\n" in done.stdout
    assert "named-by-the-job" not in done.stdout


@pytest.fixture
def planned(shell, project, unique):
    """An environment whose plans wait for an approval."""
    name = unique("planned")
    commands = ["--plan-command", "echo planned", "--command", "echo applied"]
    shell.run("template", "create", "--name", name, *commands, "--attach", project)
    made = shell.made("environment", "create", "--name", name, "--project", project, "--template", name)
    with shell.server.http(shell.admin) as http:
        http.put(f"/api/environments/{made}", json={"requiresApproval": True}).raise_for_status()
    return name


@pytest.mark.parametrize("how", ["--wait", "--follow"])
def test_waiting_stops_at_a_plan_that_waits_for_its_approval_and_goes_on_after_it(planned, shell, how):
    stopped = shell.run("deployment", "start", planned, how, code=exits.WAITS_FOR_APPROVAL)
    assert re.search(r"^Status +WAITING_FOR_USER$", stopped.stdout, re.MULTILINE)
    said = re.search(r"^waits for approval: runpass (deployment approve (.+))$", stopped.stderr, re.MULTILINE)
    followed = shell.run("deployment", "log", said[2], "--follow", code=exits.WAITS_FOR_APPROVAL)
    assert "  | planned\n" in followed.stdout
    assert "applied" not in followed.stdout
    shell.run(*said[1].split())
    assert re.search(r"^Status +SUCCESS$", shell.run("deployment", "wait", said[2]).stdout, re.MULTILINE)
    log = shell.run("deployment", "log", said[2], "--follow")
    assert "  | applied\n" in log.stdout
    assert log.stderr == ""


def test_the_answer_for_programs_stays_one_object_when_an_approval_is_waited_for(planned, shell):
    stopped = shell.run("deployment", "start", planned, "--wait", "--json", code=exits.WAITS_FOR_APPROVAL)
    assert json.loads(stopped.stdout)["status"] == "WAITING_FOR_USER"


def test_following_prints_every_line_once_while_it_comes(deploy):
    done = deploy(["echo first", "echo second; sleep 1; echo third"], "--follow")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("  | ")] == ["  | first", "  | second", "  | third"]
    assert lines[:3] == ["== shell:1", "  | first", lines[2]]
    assert re.fullmatch(r"  = SUCCESS in \d+\.\d s", lines[2])
    assert lines.count("== shell:2") == 1


def test_the_log_shows_what_could_harm_a_terminal_and_nothing_can_look_like_a_heading(deploy, shell):
    deployment = deploy([HOSTILE, "echo after"]).stdout.strip()
    shell.run("deployment", "wait", deployment)
    once = shell.run("deployment", "log", deployment).stdout
    followed = shell.run("deployment", "log", deployment, "--follow").stdout
    for printed in (once, followed):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", printed)
        assert "  | \\x1b]0;title\\x07 \\x1b[2J red over\\rwritten \\u202ebidi\n" in printed
        assert "  | == forged  SUCCESS\n" in printed
        assert [line.split()[1] for line in printed.splitlines() if line.startswith("== ")] == ["shell:1", "shell:2"]
    assert re.search(r"^== shell:2  SUCCESS in \d+\.\d s$", once, re.MULTILINE)


def test_the_log_for_programs_holds_every_step_and_event(deploy, shell):
    deployment = deploy(["seq 1 1500"]).stdout.strip()
    assert shell.json("deployment", "wait", deployment)["status"] == "SUCCESS"
    steps = shell.json("deployment", "log", deployment)
    assert [step["name"] for step in steps] == ["shell:1"]
    assert [event["message"] for event in steps[0]["events"]] == [str(number) for number in range(1, 1501)]


def test_a_running_deployment_is_aborted(deploy, shell):
    deployment = deploy(["sleep 30"]).stdout.strip()
    with shell.server.http(shell.admin) as http:
        path = f"/api/environments/deployments/{deployment}"
        wait_until(lambda: http.get(path).json()["status"] == "IN_PROGRESS", "a runner took it")
    assert shell.run("deployment", "abort", deployment).stdout == "ABORTING\n"
    assert "ABORTED" in shell.run("deployment", "wait", deployment, code=exits.NOT_SUCCESSFUL).stdout


def test_a_deployment_waits_for_the_pool_that_was_asked_for(deploy, shell):
    shell.run("join-token", "create", "--pool", "another")
    deployment = deploy(["true"], "--pool", "another").stdout.strip()
    deploy(["true"], "--wait")
    assert shell.json("deployment", "show", deployment)["status"] == "QUEUED"
    shell.run("deployment", "cancel", deployment)


def test_runners_are_listed_by_name(shell, runner):
    assert runner.name in shell.run("runners", "list").stdout
    assert shell.json("runners", "list")[0]["pool"] == "default"


def test_a_revoked_runner_ends_with_a_sentence(shell, tmp_path):
    with running_runner(shell.server, shell.admin, tmp_path, allow_unisolated=True, pool="gone") as other:
        shell.run("runners", "revoke", other.name)
        other.program.wait(40)
        assert other.program.exit_code == exits.NOT_ALLOWED
        assert "error: " in other.log
        assert "Traceback" not in other.log
    assert other.name not in {item["name"] for item in shell.json("runners", "list")}
