"""What a job prints, as it arrives at the server: a real runner process against the protocol on a socket."""

import json

import pytest

from fake_control_plane import FakeControlPlane, variable
from runner_process import RunnerProcess, until
from runpass.protocol.reports import MAX_MESSAGE, LogLevel, Outcome
from runpass.terminal_text import shown

SECRET = "hunter2-correct-horse"


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


def leaks(plane, lease):
    return [(leak.secret, leak.step) for leak in plane.leaks[lease.lease_id]]


def test_a_secret_that_is_printed_is_told_by_its_name_and_step_once(plane, runner):
    lease = plane.offer(
        'echo "$DB_PASSWORD"; printf %s "$DB_PASSWORD" | base64',
        'echo "$DB_PASSWORD" >&2; echo "$ENV0_OIDC_TOKEN$OTHER" >/dev/null',
        variables=(variable("DB_PASSWORD", SECRET, sensitive=True), variable("OTHER", "never-printed", sensitive=True)),
    )
    plane.wait_finished(lease)
    assert leaks(plane, lease) == [("DB_PASSWORD", "shell:1"), ("DB_PASSWORD", "shell:2")]
    assert plane.log(lease, LogLevel.INFO).splitlines() == ["***", "***"]
    assert plane.system_log(lease).count("Masked: DB_PASSWORD was printed in this step.") == 2


def test_what_a_job_names_is_masked_from_then_on(plane, runner):
    lease = plane.offer(
        "echo fetched-from-somewhere; echo fetched-from-somewhere >> $RUNPASS_MASK_FILE; echo fetched-from-somewhere",
        "echo later fetched-from-somewhere",
    )
    plane.wait_finished(lease)
    assert plane.log(lease, LogLevel.INFO).splitlines()[1:] == ["***", "later ***"]


def test_no_other_run_knows_what_a_run_masks(plane, runner):
    first = plane.offer("echo named-by-one-run >> $RUNPASS_MASK_FILE; echo named-by-one-run; sleep 1")
    plane.wait_logged(first, "***")
    second = plane.offer("echo named-by-one-run; test ! -e $RUNPASS_MASK_FILE")
    assert plane.wait_finished(second).outcome is Outcome.SUCCESS
    assert plane.log(second, LogLevel.INFO) == "named-by-one-run"
    plane.wait_finished(first)


def test_an_output_that_holds_what_the_job_named_is_sensitive(plane, runner):
    lease = plane.offer(
        "echo named-at-the-end >> $RUNPASS_MASK_FILE; "
        """echo '{"url": {"value": "https://x:named-at-the-end@web"}}' > "$RUNPASS_OUTPUT" """
    )
    outputs = plane.wait_finished(lease).outputs
    assert json.loads(outputs.reveal())["url"]["sensitive"] is True


def test_short_and_common_values_are_named_and_left_readable(plane, runner):
    lease = plane.offer(
        "echo $PIN $STAGE",
        variables=(variable("PIN", "123", sensitive=True), variable("STAGE", "production", sensitive=True)),
    )
    plane.wait_finished(lease)
    assert plane.log(lease, LogLevel.INFO) == "123 production"
    said = plane.system_log(lease)
    assert "Too short to be masked in this log: PIN." in said
    assert "Too common a value to be masked in this log: STAGE." in said


def test_a_line_can_do_nothing_but_be_read(plane, runner):
    lease = plane.offer(
        r"printf '\033[31mred\033[0m\ttab\n\033]0;title\007\n10%%\r20%%\r\n\033[2Jgone\n\342\200\256bidi\n\302\233m\n'",
        r"printf 'cut \033'; sleep 0.5; printf '[2J\n'",
    )
    plane.wait_finished(lease)
    assert plane.log(lease, LogLevel.INFO).splitlines()[:6] == [
        "\x1b[31mred\x1b[0m\ttab",
        "\\x1b]0;title\\x07",
        "10%\\r20%",
        "\\x1b[2Jgone",
        "\\u202ebidi",
        "\\x9bm",
    ]
    assert "".join(plane.log(lease, LogLevel.INFO).splitlines()[6:]) == "cut \\x1b[2J"


def test_binary_output_and_a_line_without_end_arrive_as_text_in_pieces(plane, runner):
    lease = plane.offer(
        "head -c 1000000 /dev/urandom",
        f"head -c 2000000 /dev/zero | tr '\\0' x; echo; echo {SECRET}",
        variables=(variable("DB_PASSWORD", SECRET, sensitive=True),),
    )
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    lines = [event.message for event in plane.events(lease)]
    assert all(len(line) <= MAX_MESSAGE and shown(line) == line for line in lines)
    assert sum(line.count("x") for line in lines if set(line) == {"x"}) == 2_000_000
    assert "***" in lines
