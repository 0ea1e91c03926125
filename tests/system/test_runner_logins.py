"""What a runner tells of its logins and when, and that every token of every login is revoked however a run ends."""

import signal

import pytest

from fake_control_plane import FakeControlPlane, variable, vault_credential
from fake_vault import FakeVault
from runner_process import RunnerProcess, until
from runpass.protocol.reports import Outcome
from runpass.protocol.run_lease import Wish
from runpass.protocol.vault_logins import LoginEnd

SECRETS = {"app": {"password": "hunter2-correct-horse"}}
UNTIL_REPLACED = 'while [ "$(cat ~/.vault-token)" = "$VAULT_TOKEN" ]; do sleep 0.1; done'
READS = (variable("PASSWORD", "${vault:secret/app.password}"),)


@pytest.fixture(scope="module")
def plane():
    with FakeControlPlane(lease_seconds=2.0) as plane:
        yield plane


@pytest.fixture(scope="module")
def runner(plane):
    with RunnerProcess(plane, capacity=4, allow_unisolated=True) as runner:
        yield runner


def offer(plane, vault, *commands, **more):
    return plane.offer(*commands, credentials=(vault_credential(vault.url),), variables=READS, **more)


def test_the_server_knows_the_accessor_before_the_first_command_and_the_end_with_the_last_word(plane, runner):
    with FakeVault(secrets=SECRETS) as vault:
        lease = offer(plane, vault, "echo running now; sleep 0.2")
        plane.wait_logged(lease, "running now")
        ((login, (given,)),) = plane.logins[lease.lease_id].items()
        assert given.accessor
        assert (given.ttl_seconds, given.renewable) == (600, True)
        (ended,) = plane.wait_finished(lease).vault_logins
        # What was told already is not repeated, and how long it had to live then says nothing at its end.
        told = given.model_copy(update={"policies": None, "left_seconds": None})
        assert (ended.login_id, ended.end, ended.given) == (login, LoginEnd.REVOKED, told)
        assert vault.issued == vault.revoked


def test_no_command_runs_with_a_token_that_the_server_does_not_know(plane, runner):
    plane.refuse_logins = 400
    try:
        with FakeVault(secrets=SECRETS) as vault:
            lease = offer(plane, vault, "echo must not run")
            finish = plane.wait_finished(lease)
            assert finish.outcome is Outcome.INTERNAL_FAILURE
            assert "must not run" not in plane.log(lease)
            (ended,) = finish.vault_logins
            assert (ended.end, bool(ended.given)) == (LoginEnd.REVOKED, True)
            vault.wait_all_revoked()
    finally:
        plane.refuse_logins = 0


def test_a_refused_login_is_told_as_one_that_gave_nothing(plane, runner):
    with FakeVault(refusal="error validating claims") as vault:
        lease = offer(plane, vault, "true")
        (ended,) = plane.wait_finished(lease).vault_logins
        assert (ended.end, ended.given) == (LoginEnd.NO_TOKEN, None)


def test_a_server_that_keeps_no_account_is_told_nothing(plane, runner):
    plane.keeps_account = False
    try:
        with FakeVault(secrets=SECRETS) as vault:
            lease = offer(plane, vault, "echo fine")
            finish = plane.wait_finished(lease)
            assert (finish.outcome, finish.vault_logins) == (Outcome.SUCCESS, ())
            assert not plane.logins[lease.lease_id]
            assert vault.issued == vault.revoked
    finally:
        plane.keeps_account = True


@pytest.mark.parametrize("end", ["failure", "abort", "timeout", "lost"])
def test_the_tokens_of_all_logins_are_revoked_however_a_run_ends(plane, runner, end):
    with FakeVault(secrets=SECRETS, ttl=2, renewable=False) as vault:
        command = f"{UNTIL_REPLACED}; false" if end == "failure" else "sleep 60"
        lease = offer(plane, vault, command, timeout_seconds=4 if end == "timeout" else 60)
        until(lambda: len(vault.issued) >= 2)
        if end == "abort":
            plane.set_wish(lease, Wish.ABORT)
        if end == "lost":
            plane.lose(lease)
        vault.wait_all_revoked()
        if end != "lost":
            finish = plane.wait_finished(lease)
            assert {item.end for item in finish.vault_logins} <= {LoginEnd.REVOKED, LoginEnd.ALREADY_GONE}
            assert {item.login_id for item in finish.vault_logins} == set(plane.logins[lease.lease_id])
        assert len(vault.issued) == len(set(vault.issued)) >= 2
        assert not any(token in plane.log(lease) for token in vault.issued)


def test_a_new_token_is_masked_where_it_is_printed_and_revoked_when_the_runner_is_told_to_end():
    with (
        FakeControlPlane(lease_seconds=30) as plane,
        FakeVault(secrets=SECRETS, ttl=2, renewable=False) as vault,
        RunnerProcess(plane, allow_unisolated=True, drain_seconds=0.1) as runner,
    ):
        lease = offer(plane, vault, f"{UNTIL_REPLACED}; cat ~/.vault-token", "echo $VAULT_TOKEN; sleep 60")
        until(lambda: plane.log(lease).count("***") >= 2)
        runner.process.send_signal(signal.SIGTERM)
        assert plane.wait_finished(lease).outcome is Outcome.ABORTED
        vault.wait_all_revoked()
        assert not any(token in plane.log(lease) for token in vault.issued)
