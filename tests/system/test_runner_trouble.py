"""Trouble around a run: it ends with a clear sentence, and nothing of it stays."""

import asyncio
import os
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from fake_control_plane import FakeControlPlane, variable, vault_credential
from fake_servers import answering
from fake_vault import FakeVault
from runner_process import RunnerProcess, living, new_mark, until
from runpass.clock import SYSTEM_CLOCK
from runpass.protocol.reports import LogLevel, Outcome
from runpass.protocol.run_lease import Wish
from runpass.runner.control_plane import ControlPlane
from runpass.runner.credentials.vault_oidc import VaultPools
from runpass.runner.isolation import NoIsolator
from runpass.runner.job import Job, Workbench
from runpass.runner.limits import limits_of
from runpass.runner.settings import RunnerSettings
from runpass.runner.stop import Reason, Stop
from runpass.runner.workspace import WorkspaceRoot
from runpass.secret import Secret
from scene import Scene


@pytest.fixture(scope="module")
def plane():
    with FakeControlPlane(lease_seconds=3.0) as plane:
        yield plane


@pytest.fixture(scope="module")
def runner(plane):
    with RunnerProcess(plane, capacity=4, allow_unisolated=True) as runner:
        yield runner


@pytest.fixture(autouse=True)
def _no_workspace_stays(request):
    yield
    if "runner" in request.fixturenames:
        until(lambda: not request.getfixturevalue("runner").workspaces())


def impatient(address):
    grant = vault_credential(address)
    return grant.model_copy(update={"value": grant.value.model_copy(update={"timeout_seconds": 1})})


def test_a_command_that_ignores_sigterm_and_forks_away_is_ended(plane, runner):
    mark = new_mark()
    away = f"trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM; sleep {mark}' >/dev/null 2>&1 &)"
    lease = plane.offer(f"{away}; echo started; while :; do sleep 0.1; done")
    plane.wait_logged(lease, "started")
    plane.set_wish(lease, Wish.ABORT)
    finish = plane.wait_finished(lease)
    assert (finish.outcome, finish.error) == (Outcome.ABORTED, "The run was aborted.")
    assert not living(mark)


def test_no_command_runs_before_the_server_has_heard_of_the_run(plane, runner):
    """The server gives a run that it never heard of to another runner: its steps would run twice."""
    plane.refuse_heartbeats = 503
    try:
        lease = plane.offer("echo began")
        plane.wait(lambda: plane.heartbeats[lease.lease_id] > 2)
        assert plane.step_states(lease) == {"shell:1": "NOT_STARTED"}
    finally:
        plane.refuse_heartbeats = None
    assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
    assert plane.log(lease) == "began"


def test_a_lost_run_that_is_cleaned_up_takes_nothing_from_its_successor_on_the_same_runner(plane, runner):
    lost = plane.offer("echo began; sleep 60")
    plane.wait_logged(lost, "began")
    go = runner.base / "go"
    successor = plane.offer(
        f"echo began >here; echo began; until [ -e {go} ]; do sleep 0.05; done; cat here",
        run={"deployment_id": lost.run.deployment_id},
        fencing_token=lost.fencing_token + 1,
    )
    plane.wait_logged(successor, "began")
    plane.lose(lost)
    cleaned_up = f'"deployment": "{lost.run.deployment_id}", "event": "run_lost"'
    until(lambda: cleaned_up in runner.log)
    go.touch()
    assert plane.wait_finished(successor).outcome is Outcome.SUCCESS
    assert plane.log(successor) == "began\nbegan"


def test_a_directory_that_is_made_while_its_run_is_told_to_end_is_removed(tmp_path):
    class Slow(WorkspaceRoot):
        def make(self, *arguments):
            loop.call_soon_threadsafe(stop.ask, Reason.ABORTED)
            ended.wait(0.3)  # it never is: the run waits
            return super().make(*arguments)

    async def aborted():
        nonlocal loop
        loop = asyncio.get_running_loop()
        control_plane = ControlPlane(plane.url)
        control_plane.use_key(Secret(plane.runner_key))
        vaults = VaultPools()
        bench = Workbench(settings, control_plane, NoIsolator(""), root, vaults, SYSTEM_CLOCK, 9.0, limits_of(settings))
        await Job(plane.offer("echo never"), bench, stop).run()
        ended.set()
        await control_plane.aclose()

    with FakeControlPlane() as plane:
        settings = RunnerSettings(url=plane.url, work_dir=tmp_path)
        loop, ended, stop, root = None, threading.Event(), Stop(), Slow(tmp_path, for_others=False)
        asyncio.run(aborted())
        root.close()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_command_that_floods_its_errors_is_ended_in_time(plane, runner):
    lease = plane.offer("yes error >&2", timeout_seconds=0.5)
    finish = plane.wait_finished(lease, 60)
    assert (finish.outcome, finish.error) == (Outcome.TIMEOUT, "The run took longer than 0.5 seconds.")
    assert plane.log(lease, LogLevel.ERROR).startswith("error\nerror\n")


def test_a_vault_that_never_answers_fails_the_run_and_not_the_runner(plane, runner):
    with answering(b"", hold=True) as vault:
        lease = plane.offer("echo never", credentials=(impatient(vault.address),))
        finish = plane.wait_finished(lease)
        assert (finish.outcome, finish.failed_step) == (Outcome.FAILURE, "setup-oidc-vault")
        assert finish.refusal is not None
        assert finish.refusal.code == "vault_unreachable"
        assert "in time" in (finish.error or ""), finish.error
        assert plane.wait_finished(plane.offer("true")).outcome is Outcome.SUCCESS


def test_a_vault_that_answers_slowly_is_waited_for(plane, runner):
    with FakeVault(secrets={"app": {"password": "hunter2-correct-horse"}}) as vault:
        vault.login_may_end.clear()
        password = variable("PASSWORD", "${vault:secret/app.password}")
        lease = plane.offer("echo ${#PASSWORD}", credentials=(vault_credential(vault.url),), variables=(password,))
        assert vault.login_started.wait(10)
        plane.wait(lambda: plane.heartbeats[lease.lease_id] > 0)
        vault.login_may_end.set()
        assert plane.wait_finished(lease).outcome is Outcome.SUCCESS
        assert plane.log(lease, LogLevel.INFO) == "21"
        assert vault.issued == vault.revoked


def test_a_token_that_is_revoked_while_the_run_goes_on_ends_nothing(scene: Scene):
    project = scene.guided()
    deployment, log = scene.deploy(
        project.id,
        "bao token revoke -self >/dev/null",
        f"bao kv get -mount={project.kv} app >/dev/null 2>&1 || echo no longer allowed",
        PASSWORD=project.reference,
    )
    assert deployment["status"] == "SUCCESS", log
    assert "no longer allowed" in log
    assert "lives until" not in log
    assert scene.tokens(project.mount) == []


def test_a_runner_whose_own_log_is_on_a_full_disk_still_ends_its_runs(plane):
    if not Path("/dev/full").exists():
        pytest.skip("the machine has no /dev/full")
    mark = new_mark()
    with FakeControlPlane() as own:
        runner = RunnerProcess(own, allow_unisolated=True)
        runner.log_file = Path("/dev/full")
        with runner:
            lease = own.offer(f"(setsid sleep {mark} >/dev/null 2>&1 &); echo ok; exit 3")
            assert own.wait_finished(lease).error == "Command 1 ended with exit status 3."
            assert not living(mark)
            until(lambda: not runner.workspaces())


@contextmanager
def small_disk(place, kib):
    """Have a file system of this size there."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", place], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_disk_that_is_full_ends_runs_with_the_word_and_the_next_one_has_room_again():
    with FakeControlPlane() as own:
        runner = RunnerProcess(own, allow_unisolated=True, least_free_mib=0)
        runner.work_dir.mkdir()
        with small_disk(runner.work_dir, 1024), runner:
            lease = own.offer("head -c 4000000 /dev/zero > file", "echo never")
            assert own.wait_finished(lease).error == "Command 1 ended with exit status 1."
            assert "No space left on device" in own.log(lease, LogLevel.ERROR)
            assert own.wait_finished(own.offer("head -c 500000 /dev/zero > file")).outcome is Outcome.SUCCESS
            until(lambda: not runner.workspaces())
            with (runner.work_dir / "filler").open("wb") as filler:
                filler.write(b"x" * (os.statvfs(runner.work_dir).f_bavail * 4096))
            finish = own.wait_finished(own.offer("echo never"))
            assert finish.outcome is Outcome.INTERNAL_FAILURE
            assert finish.error == "The workspace could not be made: No space left on device."
            (runner.work_dir / "filler").unlink()
            assert runner.workspaces() == []
            assert own.wait_finished(own.offer("true")).outcome is Outcome.SUCCESS
