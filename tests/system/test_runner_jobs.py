"""Runs from start to cleanup: a real runner process against the protocol on a socket."""

import os

import pytest

from fake_control_plane import FakeControlPlane, variable, vault_credential
from fake_vault import FakeVault
from runner_process import CANARY, RunnerProcess, living, new_mark, until
from runpass.protocol.reports import LogLevel, Outcome
from runpass.protocol.run_lease import Wish

HEARTBEAT_SECONDS = 0.7


@pytest.fixture(scope="module")
def plane():
    with FakeControlPlane(lease_seconds=3 * HEARTBEAT_SECONDS) as plane:
        yield plane


@pytest.fixture(scope="module")
def runner(plane):
    with RunnerProcess(plane, capacity=3, allow_unisolated=True) as runner:
        yield runner


@pytest.fixture(autouse=True)
def _no_workspace_stays(runner):
    yield
    until(lambda: not runner.workspaces())


def test_a_run_succeeds_and_its_output_is_in_the_log(plane, runner):
    lease = plane.offer("echo out; echo err >&2", "echo $((6 * 7)); pwd; echo $ENV0_ROOT_DIR", "printf 'no newline'")
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.error, finish.failed_step) == (Outcome.SUCCESS, None, None)
    assert plane.step_states(lease) == {"shell:1": "SUCCESS", "shell:2": "SUCCESS", "shell:3": "SUCCESS"}
    where = f"{runner.place_of(lease)}/workspace"
    assert plane.log(lease, LogLevel.INFO).splitlines() == ["out", "42", where, where, "no newline"]
    assert plane.log(lease, LogLevel.ERROR) == "err"


def test_a_command_that_fails_ends_the_run(plane, runner):
    lease = plane.offer("false; echo not reached", "echo never")
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.failed_step) == (Outcome.FAILURE, "shell:1")
    assert finish.error == "Command 1 ended with exit status 1."
    assert plane.step_states(lease) == {"shell:1": "FAIL", "shell:2": "SKIPPED"}
    assert plane.log(lease, LogLevel.INFO) == ""


def test_a_command_ended_by_a_signal_says_which(plane, runner):
    lease = plane.offer("kill -SEGV $$")
    assert plane.wait_finished(lease).error == "Command 1 was ended by SIGSEGV."


def test_nothing_of_the_hosts_environment_reaches_the_commands(plane, runner):
    lease = plane.offer(
        "env", variables=(variable("GREETING", "hello"),), run={"revision": "v7", "deployer_name": "Ada"}
    )
    plane.wait_finished(lease)
    log = plane.log(lease)
    assert CANARY not in log
    names = {line.partition("=")[0] for line in log.splitlines()}
    assert {name for name in names if name.startswith("RUNPASS_")} == {"RUNPASS_MASK_FILE", "RUNPASS_OUTPUT"}
    assert {"GREETING", "ENV0_DEPLOYMENT_REVISION", "ENV0_DEPLOYER_NAME", "HOME", "PATH", "LANG"} <= names
    assert not {name for name in names if name.startswith(("VAULT_", "ENV0_OIDC"))}


def test_a_secret_is_masked_even_if_it_comes_in_pieces(plane, runner):
    lease = plane.offer(
        "echo $DB_PASSWORD; printf 'a hunter2-'; sleep 0.3; printf 'correct-'; sleep 0.3; echo horse",
        "printf hunter2-corr",
        variables=(
            variable("DB_PASSWORD", "hunter2-correct-horse", sensitive=True),
            variable("PIN", "123", sensitive=True),
        ),
    )
    plane.wait_finished(lease)
    log = plane.log(lease, LogLevel.INFO)
    assert "".join(log.split("\n")) == "***a ***hunter2-corr"
    assert "PIN" in plane.system_log(lease)


def test_a_line_is_shown_before_it_ends(plane, runner):
    lease = plane.offer("printf 'continue? '; sleep 60")
    plane.wait_logged(lease, "continue? ")
    plane.set_wish(lease, Wish.ABORT)
    plane.wait_finished(lease)


def test_much_output_arrives_whole_and_in_order(plane, runner):
    count = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i + 1)); done"
    lease = plane.offer(f"{count}; head -c 3000000 /dev/zero | tr '\\0' x")
    plane.wait_finished(lease)
    lines = plane.log(lease, LogLevel.INFO).splitlines()
    assert lines[:300] == [str(number) for number in range(300)]
    assert sum(map(len, lines[300:])) == 3_000_000


def test_a_server_with_trouble_misses_nothing(plane, runner):
    plane.failures.extend([503, 500, 429])
    lease = plane.offer("echo one; sleep 0.2; echo two")
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    assert plane.log(lease) == "one\ntwo"


def test_a_process_in_the_background_does_not_hold_the_run_up(plane, runner):
    mark = new_mark()
    lease = plane.offer(f"sleep {mark} & echo started")
    assert plane.wait_finished(lease, 5).outcome is Outcome.SUCCESS
    assert not living(mark)


def test_a_run_that_takes_too_long_is_ended(plane, runner):
    mark = new_mark()
    lease = plane.offer(f"echo started; sleep {mark}", "echo never", timeout_seconds=0.5)
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.failed_step) == (Outcome.TIMEOUT, "shell:1")
    assert plane.step_states(lease) == {"shell:1": "TIMEOUT", "shell:2": "SKIPPED"}
    assert not living(mark)


def test_an_abort_lets_the_commands_end_by_themselves(plane, runner):
    lease = plane.offer("trap 'echo goodbye; exit 0' TERM; echo started; while :; do sleep 0.05; done", "echo never")
    plane.wait_logged(lease, "started")
    plane.set_wish(lease, Wish.ABORT)
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.failed_step) == (Outcome.ABORTED, "shell:1")
    assert plane.log(lease, LogLevel.INFO) == "started\ngoodbye"
    assert plane.step_states(lease) == {"shell:1": "CANCELLED", "shell:2": "CANCELLED"}


def test_a_command_outlives_its_shell_for_the_time_of_grace(plane, runner):
    inner = "trap 'sleep 0.2; echo state unlocked; exit 0' TERM; echo started; while :; do sleep 0.05; done"
    lease = plane.offer(f'sh -c "{inner}"; echo never')
    plane.wait_logged(lease, "started")
    plane.set_wish(lease, Wish.ABORT)
    plane.wait_finished(lease)
    assert plane.log(lease, LogLevel.INFO) == "started\nstate unlocked"


def test_a_command_that_ignores_sigterm_is_killed(plane, runner):
    mark = new_mark()
    lease = plane.offer(f"trap '' TERM; echo started; sleep {mark}")
    plane.wait_logged(lease, "started")
    plane.set_wish(lease, Wish.ABORT)
    assert plane.wait_finished(lease).outcome is Outcome.ABORTED
    assert not living(mark)


def test_a_process_that_left_its_group_and_parent_is_killed(plane, runner):
    mark = new_mark()
    lease = plane.offer(
        f"(setsid sh -c 'trap \"\" TERM HUP; (sleep {mark} &) ; sleep {mark}' >/dev/null 2>&1 &) ; echo ok"
    )
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    assert not living(mark)


def test_a_lost_lease_kills_the_run_and_nothing_more_is_reported(plane, runner):
    mark = new_mark()
    lease = plane.offer(f"trap '' TERM; echo started; sleep {mark}")
    plane.wait_logged(lease, "started")
    plane.lose(lease)
    until(lambda: not living(mark))
    until(lambda: not runner.workspaces())
    assert lease.lease_id not in plane.finishes
    assert "finish" not in plane.late


def test_a_reserved_name_is_refused_before_any_command(plane, runner):
    lease = plane.offer(
        "echo never", variables=(variable("LD_PRELOAD", "x"), variable("PATH", "y"), variable("OK", "z"))
    )
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.failed_step) == (Outcome.FAILURE, "setup-variables")
    assert finish.error is not None
    assert finish.error.endswith(": LD_PRELOAD, PATH.")
    assert plane.step_states(lease) == {"setup-variables": "FAIL", "shell:1": "SKIPPED"}


def test_the_job_token_is_there_only_if_wanted_and_never_in_the_log(plane, runner):
    lease = plane.offer('test -n "$ENV0_OIDC_TOKEN" && echo "token $ENV0_OIDC_TOKEN"', identity=True)
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    assert plane.log(lease, LogLevel.INFO) == "token ***"
    assert plane.purposes[lease.lease_id] == ["job"]


def test_a_server_that_gives_no_token_ends_the_run_before_its_commands(plane, runner):
    plane.refuse_identity = True
    try:
        lease = plane.offer("echo never", identity=True)
        finish = plane.wait_finished(lease)
    finally:
        plane.refuse_identity = False
    assert finish.outcome is Outcome.INTERNAL_FAILURE
    assert plane.log(lease) == ""


def test_a_run_logs_in_reads_its_secrets_and_ends_its_token(plane, runner):
    with FakeVault(secrets={"app": {"password": "hunter2-correct-horse"}}) as vault:
        lease = plane.offer(
            "echo $VAULT_ADDR; echo $VAULT_TOKEN; echo $URL; test ${#VAULT_TOKEN} -gt 20",
            identity=True,
            credentials=(vault_credential(vault.url),),
            variables=(variable("URL", "db://app:${vault:secret/app.password}@host"),),
        )
        assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
        assert plane.log(lease, LogLevel.INFO).splitlines() == [vault.url, "***", "db://app:***@host"]
        assert plane.step_states(lease) == {"setup-oidc-vault": "SUCCESS", "shell:1": "SUCCESS"}
        assert sorted(plane.purposes[lease.lease_id]) == ["credential", "job"]
        assert vault.logins[0]["role"] == "deploy"
        assert vault.logins[0]["jwt"] in plane.tokens
        assert vault.issued == vault.revoked
        for secret in (*vault.issued, *plane.tokens, "hunter2"):
            assert secret not in plane.log(lease)
            assert secret not in runner.log


def test_a_refused_login_is_told_in_our_words_and_in_vaults(plane, runner):
    refusal = (
        "error validating token: invalid audience (aud) claim: audience claim does not match any expected audience"
    )
    with FakeVault(refusal=refusal) as vault:
        lease = plane.offer("echo never", credentials=(vault_credential(vault.url),))
        finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.failed_step) == (Outcome.FAILURE, "setup-oidc-vault")
    assert finish.refusal is not None
    assert finish.refusal.vault_error == refusal
    assert finish.refusal.hint
    assert plane.step_states(lease) == {"setup-oidc-vault": "FAIL", "shell:1": "SKIPPED"}
    assert f"Vault says: {refusal}" in plane.system_log(lease)


def test_a_last_word_whose_reasons_the_server_does_not_take_is_said_without_them(plane, runner):
    plane.refuse_details = True
    try:
        lease = plane.offer("echo never", credentials=(vault_credential("http://127.0.0.1:1"),))
        finish = plane.wait_finished(lease)
    finally:
        plane.refuse_details = False
    assert (finish.outcome, finish.failed_step, finish.refusal) == (Outcome.FAILURE, "setup-oidc-vault", None)


def test_a_vault_that_is_not_there_fails_the_step(plane, runner):
    lease = plane.offer("echo never", credentials=(vault_credential("http://127.0.0.1:1"),))
    refusal = plane.wait_finished(lease).refusal
    assert refusal is not None
    assert refusal.code == "vault_unreachable"


def test_all_secrets_that_cannot_be_read_are_told_together_and_the_token_ends(plane, runner):
    with FakeVault(secrets={"app": {"password": "hunter2-correct-horse"}}) as vault:
        lease = plane.offer(
            "echo never",
            credentials=(vault_credential(vault.url),),
            variables=(
                variable("A", "${vault:secret/app.password}"),
                variable("B", "${vault:secret/app.nope}"),
                variable("C", "${vault:secret/none.key}"),
            ),
        )
        refusal = plane.wait_finished(lease).refusal
        assert refusal is not None
        assert refusal.code == "secrets_unavailable"
        assert "secret/app.nope" in refusal.reason
        assert "secret/none.key" in refusal.reason
        assert vault.issued == vault.revoked


def test_a_reference_without_a_credential_names_project_and_variable(plane, runner):
    lease = plane.offer("echo never", variables=(variable("DB_PASSWORD", "${vault:secret/app.password}"),))
    refusal = plane.wait_finished(lease).refusal
    assert refusal is not None
    assert refusal.code == "no_credential"
    assert refusal.reason == (
        'Project "web" has no Vault OIDC credential assigned, so ${vault:…} in variable DB_PASSWORD cannot be resolved.'
    )
    assert refusal.hint


def test_malformed_references_are_told_together_without_a_login(plane, runner):
    with FakeVault() as vault:
        lease = plane.offer(
            "echo never",
            credentials=(vault_credential(vault.url),),
            variables=(variable("A", "${vault:nothing"), variable("B", "${vault:x}")),
        )
        refusal = plane.wait_finished(lease).refusal
        assert refusal is not None
        assert "variable A" in refusal.reason
        assert "variable B" in refusal.reason
        assert vault.logins == []


def test_with_two_credentials_a_reference_must_name_one_of_them(plane, runner):
    grants = (vault_credential("http://127.0.0.1:1", name="one"), vault_credential("http://127.0.0.1:1", name="two"))
    wanted = (variable("A", "${vault:kv/app.x}"),)
    refusal = plane.wait_finished(plane.offer("echo never", credentials=grants, variables=wanted)).refusal
    assert refusal is not None
    assert refusal.code == "ambiguous_credential"
    assert "one, two" in refusal.reason


def test_with_two_credentials_that_export_their_token_none_is_given(plane, runner):
    grants = (vault_credential("http://127.0.0.1:1", name="one"), vault_credential("http://127.0.0.1:1", name="two"))
    lease = plane.offer('echo "${VAULT_TOKEN:-none}"', credentials=grants)
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    assert plane.log(lease, LogLevel.INFO) == "none"
    assert "No VAULT_TOKEN is given: more than one credential exports its token (one, two)" in plane.system_log(lease)


@pytest.mark.parametrize("why", ["aborted", "lost"])
def test_a_login_that_was_going_on_when_the_run_ended_is_revoked(plane, runner, why):
    with FakeVault() as vault:
        vault.login_may_end.clear()
        lease = plane.offer("echo never", credentials=(vault_credential(vault.url),))
        assert vault.login_started.wait(10)
        plane.set_wish(lease, Wish.ABORT) if why == "aborted" else plane.lose(lease)
        beats = plane.heartbeats[lease.lease_id]
        if why == "aborted":
            # The answer to the first one after the wish has been heeded when the next one comes.
            plane.wait(lambda: plane.heartbeats[lease.lease_id] > beats + 1)
        else:
            until(lambda: "run_lease_lost" in runner.log)
        vault.login_may_end.set()
        vault.wait_all_revoked()
        if why == "aborted":
            finish = plane.wait_finished(lease)
            assert (finish.outcome, finish.failed_step) == (Outcome.ABORTED, "setup-oidc-vault")


@pytest.mark.skipif(os.geteuid() != 0, reason="without isolation runs go one by one")
def test_runs_go_on_side_by_side_up_to_the_capacity(plane, runner):
    gates = [plane.offer("echo started; sleep 60") for _ in range(3)]
    for lease in gates:
        plane.wait_logged(lease, "started")
    waiting = plane.offer("echo started")
    for lease in gates:
        plane.set_wish(lease, Wish.ABORT)
    assert plane.wait_finished(waiting).outcome is Outcome.SUCCESS
    ends = [plane.finished_at[lease.lease_id] for lease in gates if lease.lease_id in plane.finished_at]
    assert plane.offered_at[waiting.lease_id] > min(ends)
