"""What a run gives back, and what its phase decides: a real runner process against the protocol on a socket."""

import json

import pytest

from fake_control_plane import FakeControlPlane, variable
from runner_process import RunnerProcess, until
from runpass.protocol.reports import LogLevel, Outcome
from runpass.protocol.run_lease import Command, Phase

SECRET = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def plane():
    with FakeControlPlane() as plane:
        yield plane


@pytest.fixture(scope="module")
def runner(plane):
    with RunnerProcess(plane, capacity=2, allow_unisolated=True) as runner:
        yield runner


@pytest.fixture(autouse=True)
def _no_workspace_stays(runner):
    yield
    until(lambda: not runner.workspaces())


def outputs(finish):
    return None if finish.outputs is None else json.loads(finish.outputs.reveal())


def test_what_the_last_command_left_is_given_back(plane, runner):
    lease = plane.offer("""echo '{"url": {"value": "https://web", "type": "string"}}' > "$RUNPASS_OUTPUT" """)
    finish = plane.wait_finished(lease)
    assert finish.outcome is Outcome.SUCCESS
    assert outputs(finish) == {"url": {"value": "https://web", "sensitive": False, "type": "string"}}
    assert "https://web" not in repr(finish)


def test_an_output_that_holds_a_secret_of_the_run_is_sensitive(plane, runner):
    lease = plane.offer(
        """printf '{"a": {"value": "x-%s-y"}, "b": {"value": "%s"}}' "$PASSWORD" plain > "$RUNPASS_OUTPUT" """,
        variables=(variable("PASSWORD", SECRET, sensitive=True),),
    )
    found = outputs(plane.wait_finished(lease))
    assert found["a"] == {"value": f"x-{SECRET}-y", "sensitive": True, "type": None}
    assert not found["b"]["sensitive"]


@pytest.mark.parametrize("phase", [Phase.PLAN, Phase.DESTROY, Phase.TASK])
def test_only_an_apply_gives_something_back(plane, runner, phase):
    lease = plane.offer("""echo '{"a": {"value": 1}}' > "$RUNPASS_OUTPUT" """, phase=phase)
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.outputs) == (Outcome.SUCCESS, None)


def test_a_run_that_failed_gives_nothing_back(plane, runner):
    lease = plane.offer("""echo '{"a": {"value": 1}}' > "$RUNPASS_OUTPUT" """, "false")
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.outputs) == (Outcome.FAILURE, None)


@pytest.mark.parametrize(
    "command",
    [
        "echo canary > $RUNPASS_OUTPUT",
        "ln -s /etc/passwd $RUNPASS_OUTPUT",
        "mkfifo $RUNPASS_OUTPUT",
        "mkdir $RUNPASS_OUTPUT",
        "rm -r $TMPDIR; ln -s /etc $TMPDIR",
        "head -c 2000000 /dev/zero > $RUNPASS_OUTPUT",
    ],
    ids=["no JSON", "link", "fifo", "directory", "link on the way", "too large"],
)
def test_anything_else_is_a_warning_and_no_failure(plane, runner, command):
    lease = plane.offer(command)
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.outputs) == (Outcome.SUCCESS, None)
    log = plane.system_log(lease)
    assert "canary" not in log
    assert "root:" not in log
    assert "WARNING: The outputs in" in log or "WARNING: The file runpass-output.json" in log


def test_steps_have_the_names_that_the_server_gave(plane, runner):
    commands = [Command(step="git:clone", script="echo one"), Command(step="tf:plan", script="exit 3")]
    lease = plane.offer(*commands, phase=Phase.PLAN)
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.failed_step) == (Outcome.FAILURE, "tf:plan")
    assert plane.step_states(lease) == {"git:clone": "SUCCESS", "tf:plan": "FAIL"}


def test_a_plan_without_commands_succeeds(plane, runner):
    lease = plane.offer(phase=Phase.PLAN)
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS


def test_a_job_has_a_second_token_only_where_the_server_says_so(plane, runner):
    show = "echo ${ENV0_OIDC_TOKEN:+first} ${ENV0_VAULT_OIDC_TOKEN:+second}; echo $ENV0_VAULT_OIDC_TOKEN"
    one, both = plane.offer(show, identity=True), plane.offer(show, identity=True, vault_identity=True)
    for lease, said, purposes in ((one, "first", ["job"]), (both, "first second", ["job", "job v2"])):
        plane.wait_finished(lease)
        assert plane.log(lease, LogLevel.INFO).splitlines()[0] == said
        assert plane.purposes[lease.lease_id] == purposes
    assert not any(token in plane.log(both) for token in plane.tokens)
