"""Sweeps: which runner gets which token to revoke, for how long, and what its answer leads to."""

from datetime import timedelta

import jwt
import pytest
from sqlalchemy import update

from factories import Tenant, World
from runpass.errors import StaleLease
from runpass.protocol import sweeper
from runpass.protocol.registration import Isolation
from runpass.protocol.sweeps import SweepReport, SweepResult
from runpass.secret import Secret
from runpass.server.credentials.store import delete_assignment, delete_credential
from runpass.server.db.schema.vault_logins import vault_logins
from runpass.server.deployments import login_store
from runpass.server.vault_tasks.sweeps import (
    FIRST_PAUSE,
    FIRST_TAKES,
    LONGEST_TAKES,
    UNREADABLE,
    finish_sweep,
    take_sweep,
)
from vault_run import ACCESSOR, GIVEN, TTL, Run


@pytest.fixture
def run(world: World, tenant: Tenant) -> Run:
    return Run(world, tenant)


def test_the_token_of_a_lost_run_is_swept_by_another_runner_of_the_pool(run: Run, world: World):
    login = run.log_in()
    run.tell(login)
    assert run.sweep() is None
    run.lose()
    assert run.counts() == (1, 0, 0)
    other, of_the_same_pool = run.tenant.runner(), run.tenant.runner()
    assert run.sweep(run.tenant.runner(pool="other")) is None
    assert take_sweep(run.rules, world.tenant("stranger").runner()) is None
    task = run.sweep(other)
    assert task is not None
    value = task.grant.value
    assert (task.accessor.reveal(), task.deployment_id) == (ACCESSOR, run.lease.run.deployment_id)
    assert (value.address, value.role_name, value.jwt_auth_backend_path) == (
        "https://vault.example.com:8200",
        "deploy",
        "jwt",
    )
    claims = jwt.decode(task.sweeper_token.reveal(), options={"verify_signature": False})
    assert (claims["sub"], claims["aud"]) == (sweeper.subject(run.tenant.id), sweeper.audience(run.tenant.id))
    assert run.sweep(other) is None
    with pytest.raises(StaleLease):
        finish_sweep(run.rules, other, login, Secret("rpt_wrong"), SweepReport(result=SweepResult.REVOKED))
    for somebody_else in (world.tenant("other").runner(), of_the_same_pool):
        with pytest.raises(StaleLease):
            run.swept(task, SweepResult.REVOKED, somebody_else)
    run.swept(task, SweepResult.REVOKED, other)
    assert run.counts() == (0, 0, 0)
    with pytest.raises(StaleLease):
        run.swept(task, SweepResult.REVOKED, other)
    assert run.actions()[-2:] == ["identity_token.minted", "vault_token.swept"]


def test_a_sweep_is_given_out_again_when_its_runner_dies_and_tried_again_when_it_fails(run: Run, world: World):
    run.tell(run.log_in(), GIVEN.model_copy(update={"ttl_seconds": 3_600}))
    run.lose()
    dying, other = run.tenant.runner(), run.tenant.runner()
    first = run.sweep(dying)
    assert first is not None
    world.clock.advance(FIRST_TAKES)
    with pytest.raises(StaleLease):
        run.swept(first, SweepResult.REVOKED, dying)
    second = run.sweep(other)
    assert second is not None
    assert second.task_secret != first.task_secret
    run.swept(second, SweepResult.FAILED, other)
    (login,) = run.left().known
    assert (login.swept, login.sweep_said, login.sweep_hint, login.sweeps) == (SweepResult.FAILED, "text", "text", 2)
    assert run.sweep(other) is None
    world.clock.advance(FIRST_PAUSE * 2**2)
    assert run.sweep(other) is not None


def test_a_sweep_may_take_longer_each_time_that_nobody_reports_it(run: Run, world: World):
    run.tell(run.log_in(), GIVEN.model_copy(update={"ttl_seconds": 3_600}))
    run.lose()
    runner = run.tenant.runner()
    given = []
    for _ in range(7):
        task = run.sweep(runner)
        assert task is not None
        assert run.sweep(runner) is None
        given.append(task.expires_at - world.clock.now())
        world.clock.advance(given[-1])
    assert given[:3] == [FIRST_TAKES, 2 * FIRST_TAKES, 4 * FIRST_TAKES]
    assert given[-1] == LONGEST_TAKES


def test_nobody_sweeps_what_must_have_expired(run: Run, world: World):
    run.tell(run.log_in())
    run.lose()
    world.clock.advance(TTL)
    assert run.sweep() is None
    assert run.counts() == (0, 0, 0)


@pytest.mark.parametrize(
    ("result", "left"), [(SweepResult.NOT_OURS, (0, 1, 0)), (SweepResult.NOT_VERIFIABLE, (1, 0, 0))]
)
def test_what_is_not_certainly_ours_is_told_and_left_alone(
    run: Run, world: World, result: SweepResult, left: tuple[int, int, int]
):
    run.tell(run.log_in())
    run.lose()
    other = run.tenant.runner()
    task = run.sweep(other)
    assert task is not None
    run.swept(task, result, other)
    assert run.counts() == left
    with world.database.read() as tx:
        assert login_store.count_outstanding(tx) == left[:2]
    assert run.actions()[-1] == "vault_token.not_swept"
    world.clock.advance(timedelta(seconds=30))
    assert run.sweep(other) is None


def test_a_sweep_goes_where_the_login_went_whatever_became_of_the_credential(run: Run, world: World):
    run.tell(run.log_in())
    with world.database.write() as tx:
        delete_assignment(tx, run.credential.id, run.project.id)
        delete_credential(tx, run.credential.id)
    run.lose()
    task = run.sweep()
    assert task is not None
    assert task.grant.value.address == "https://vault.example.com:8200"


def test_a_sweepers_token_crosses_no_network_in_clear_text_once_the_policy_is_taken_back(world: World, tenant: Tenant):
    tenant.set_organization(allow_clear_text_vault=True)
    run = Run(world, tenant, address="http://vault.example.com")
    run.tell(run.log_in())
    run.lose()
    tenant.set_organization(allow_clear_text_vault=False)
    assert run.sweep() is None
    (login,) = run.left().known
    assert login.swept is SweepResult.FAILED
    assert "allowClearTextVault" in (login.sweep_said or "")


def test_a_runner_without_isolation_sweeps_for_its_own_project_only(world: World, tenant: Tenant):
    run = Run(world, tenant)
    run.tell(run.log_in())
    run.lose()
    mine, bound = tenant.runner(Isolation.NONE), Run(world, tenant, Isolation.NONE)
    assert take_sweep(run.rules, bound.runner) is None
    assert take_sweep(run.rules, mine) is not None


def test_a_login_that_does_not_open_is_told_and_keeps_no_other_one_from_its_sweep(run: Run, world: World):
    broken, whole = run.log_in(), run.log_in()
    for login in (broken, whole):
        run.tell(login)
    run.lose()
    with world.database.write() as tx:
        first = {"sweep_after": world.clock.now() - timedelta(seconds=1), "accessor_sealed": b"changed"}
        tx.execute(update(vault_logins).where(vault_logins.c.id == broken).values(**first))
    assert run.sweep() is None
    task = run.sweep()
    assert task is not None
    assert task.task_id == whole
    (kept,) = [login for login in run.left().known if login.id == broken]
    assert (kept.swept, kept.sweep_said) == (SweepResult.FAILED, UNREADABLE)
