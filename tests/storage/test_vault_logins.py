"""The account of logins at Vaults, and the sweep: who may say what, and what is never forgotten."""

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import select

from factories import LEASE, Tenant, World, holder
from runpass.errors import StaleLease
from runpass.ids import VaultLoginId, new_id
from runpass.protocol import sweeper
from runpass.protocol.identity import ForCredential, ForJob
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.protocol.sweeps import Sweep, SweepReport, SweepResult
from runpass.protocol.vault_logins import EndedLogin, GivenToken, LoginEnd, LoginReport
from runpass.secret import Secret
from runpass.server.credentials.store import delete_assignment, delete_credential, record_role
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.vault_logins import identity_tokens, vault_logins
from runpass.server.deployments import login_store
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.identity import Passport
from runpass.server.deployments.keeper import LEEWAY, settle_once
from runpass.server.deployments.outstanding import Outstanding, outstanding
from runpass.server.deployments.run_leases import RUNNER_REVOKED, end_expired, finish, lose_all, save_login, take
from runpass.server.deployments.store import get_deployment
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.runners.model import Runner
from runpass.server.vault_tasks.connection_tests import TestRules
from runpass.server.vault_tasks.sweeps import FIRST_PAUSE, TAKES, finish_sweep, take_sweep

ISSUER = "https://id.example.com/"
TTL = timedelta(minutes=2)
ACCESSOR = "accessor-of-the-token"
GIVEN = GivenToken(accessor=Secret(ACCESSOR), ttl_seconds=120, renewable=True)
ROLE = {"roleName": "deploy", "mount": "jwt", "namespace": "", "config": "{}"}


class Run:
    """A run that a runner has taken, with a credential."""

    def __init__(self, world: World, tenant: Tenant, isolation: Isolation = Isolation.UID, **value: Any) -> None:
        self.world, self.tenant = world, tenant
        minter = Minter(KeyRing((new_key(world.clock.now()),)), ISSUER, world.clock)
        self.passport = Passport(
            world.rules, minter, own=OwnAudiences(ISSUER[:-1], (ISSUER,)), lifetime=timedelta(minutes=5)
        )
        parts = (world.database, world.cipher, world.clock)
        self.rules = TestRules(*parts, minter, ISSUER[:-1], f"{ISSUER}.well-known/jwks.json", ISSUER)
        self.project, environment = tenant.somewhere_to_deploy()
        self.credential = tenant.credential(**value)
        tenant.assign(self.credential, self.project)
        self.runner = tenant.runner(isolation)
        tenant.queue(environment)
        lease = take(world.rules, self.runner)
        assert lease is not None
        self.lease: RunLease = lease
        self.holder = holder(self.runner, lease)

    def log_in(self) -> VaultLoginId:
        token = self.passport.issue(self.holder, ForCredential(credential_id=self.credential.id))
        assert token.login_id is not None
        return VaultLoginId(token.login_id)

    def tell(self, login: VaultLoginId, given: GivenToken | None = GIVEN) -> None:
        report = LoginReport(fencing_token=self.lease.fencing_token, given=given)
        save_login(self.world.rules, self.holder, login, report)

    def finish(self, *ended: EndedLogin, tells: bool = True) -> None:
        word = Finish(
            fencing_token=self.lease.fencing_token, outcome=Outcome.SUCCESS, vault_logins=ended if tells else None
        )
        finish(self.world.rules, self.holder, word)

    def lose(self) -> None:
        self.world.clock.advance(LEASE)
        end_expired(self.world.rules)

    def left(self) -> Outstanding:
        with self.world.database.read() as tx:
            return outstanding(tx, self.tenant.admin, self.tenant.id, None, self.world.clock.now())

    def counts(self) -> tuple[int, int, int]:
        found = self.left()
        return len(found.known), len(found.unknown), found.in_use

    def sweep(self, runner: Runner | None = None) -> Sweep | None:
        return take_sweep(self.rules, runner or self.tenant.runner())

    def swept(self, task: Sweep, result: SweepResult, runner: Runner | None = None) -> None:
        report = SweepReport(result=result, said="text", hint="text")
        finish_sweep(self.rules, runner or self.runner, VaultLoginId(task.task_id), task.task_secret, report)

    def actions(self) -> list[str]:
        with self.world.database.read() as tx:
            mine = select(audit_events.c.action).where(audit_events.c.organization_id == self.tenant.id)
            return list(tx.execute(mine.order_by(audit_events.c.seq)).scalars())


@pytest.fixture
def run(world: World, tenant: Tenant) -> Run:
    return Run(world, tenant)


def gone(login: VaultLoginId, end: LoginEnd = LoginEnd.REVOKED, given: GivenToken | None = GIVEN) -> EndedLogin:
    return EndedLogin(login_id=login, end=end, given=given)


def test_a_login_counts_from_the_moment_that_its_token_is_minted(run: Run):
    assert run.counts() == (0, 0, 0)
    run.log_in()
    assert run.counts() == (0, 0, 1)


def test_a_revoked_token_is_nothing_to_count_and_nothing_to_sweep(run: Run):
    login = run.log_in()
    run.tell(login)
    run.finish(gone(login))
    assert run.counts() == (0, 0, 0)
    assert run.sweep() is None


def test_a_refused_login_is_nothing_to_count(run: Run):
    login = run.log_in()
    run.tell(login, None)
    run.lose()
    assert run.counts() == (0, 0, 0)


def test_an_identity_token_that_never_arrived_is_none_that_anybody_logged_in_with(run: Run):
    run.log_in()
    login = run.log_in()  # the runner repeats a call that was not answered
    run.tell(login)
    run.finish(gone(login))
    assert run.counts() == (0, 0, 0)


def test_a_runner_that_keeps_no_account_leaves_what_nobody_can_know(run: Run):
    run.log_in()
    run.finish(tells=False)
    assert run.counts() == (0, 1, 0)


def test_a_login_that_nobody_reported_is_over_after_the_first_ttl_of_its_role(run: Run, world: World):
    with world.database.write() as tx:
        record_role(tx, run.credential.id, {**ROLE, "role": json.dumps({"token_ttl": 120})})
    run.log_in()
    run.lose()
    assert run.counts() == (0, 1, 0)
    world.clock.advance(TTL - timedelta(seconds=1))
    assert run.counts() == (0, 1, 0)
    world.clock.advance(timedelta(seconds=1))
    assert run.counts() == (0, 0, 0)
    settle_once(world.database, world.clock)
    with world.database.read() as tx:
        assert tx.execute(select(vault_logins.c.settled_at)).scalar_one() is not None
        assert login_store.count_outstanding(tx) == (0, 0)


@pytest.mark.parametrize(
    ("role", "first"),
    [
        ({"token_ttl": 60, "token_period": 90}, 90),
        ({"token_ttl": 60, "token_period": 0}, 60),
        ({"token_ttl": 0}, None),
        ({"token_ttl": "1h"}, None),
        ({}, None),
    ],
)
def test_the_first_ttl_is_what_apply_recorded(run: Run, world: World, role: dict[str, Any], first: int | None):
    with world.database.write() as tx:
        record_role(tx, run.credential.id, {**ROLE, "role": json.dumps(role)})
    run.log_in()
    with world.database.read() as tx:
        assert tx.execute(select(vault_logins.c.first_ttl_seconds)).scalar_one() == first


def test_what_was_recorded_for_another_role_says_nothing(run: Run, world: World):
    with world.database.write() as tx:
        record_role(tx, run.credential.id, {**ROLE, "roleName": "other", "role": json.dumps({"token_ttl": 60})})
    run.log_in()
    run.lose()
    world.clock.advance(timedelta(days=400))
    settle_once(world.database, world.clock)
    assert run.counts() == (0, 1, 0)


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
    world.clock.advance(TAKES)
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


@pytest.mark.parametrize(
    ("end", "given", "left", "is_swept"),
    [
        (LoginEnd.ALREADY_GONE, GIVEN, (0, 0, 0), False),
        (LoginEnd.NO_TOKEN, None, (0, 0, 0), False),
        (LoginEnd.NOT_REVOCABLE, GivenToken(ttl_seconds=120), (1, 0, 0), False),
        (LoginEnd.NOT_ALLOWED, GIVEN, (1, 0, 0), True),
        (LoginEnd.FAILED, GIVEN, (1, 0, 0), True),
        (LoginEnd.FAILED, None, (0, 1, 0), False),
        (LoginEnd.GOING_ON, None, (0, 1, 0), False),
    ],
)
def test_the_last_word_says_what_is_left_and_what_is_swept(
    run: Run, end: LoginEnd, given: GivenToken | None, left: tuple[int, int, int], *, is_swept: bool
):
    run.finish(gone(run.log_in(), end, given))  # the report never arrived
    assert run.counts() == left
    assert (run.sweep() is not None) == is_swept


def test_only_the_holder_speaks_of_its_own_logins_and_the_first_accessor_stays(run: Run, world: World):
    login = run.log_in()
    run.tell(login)
    run.tell(login, GivenToken(accessor=Secret("another"), ttl_seconds=600, renewable=True))
    run.tell(login, None)
    other = Run(world, run.tenant)
    for unknown in (login, VaultLoginId(new_id())):
        with pytest.raises(StaleLease):
            other.tell(unknown)
    run.lose()
    with pytest.raises(StaleLease):
        run.tell(login)
    (found,) = [item for item in run.left().known if item.id == login]
    assert found.until == world.clock.now() + timedelta(seconds=600)
    task = run.sweep()
    assert task is not None
    assert task.accessor.reveal() == ACCESSOR


def test_an_accessor_is_sealed_for_its_very_row(run: Run, world: World):
    run.tell(run.log_in())
    with world.database.read() as tx:
        row = tx.execute(select(vault_logins)).one()
    assert ACCESSOR.encode() not in row.accessor_sealed
    assert ACCESSOR not in str(row)


def test_a_revoked_runner_loses_its_leases_in_the_same_transaction(run: Run, world: World):
    run.tell(run.log_in())
    with world.database.write() as tx:
        (lost,) = lose_all(tx, world.rules, run.runner.id, world.clock.now())
    assert lost.id == run.lease.run.deployment_id
    assert run.counts() == (1, 0, 0)
    assert run.sweep() is not None
    with world.database.read() as tx:
        ended = get_deployment(tx, run.tenant.id, lost.id)
    assert ended is not None
    assert ended.error == RUNNER_REVOKED


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


def test_job_tokens_of_ended_runs_are_named_until_no_vault_takes_them(run: Run, world: World):
    run.passport.issue(run.holder, ForJob())
    assert run.left().identity_tokens == []
    run.finish()
    (held,) = run.left().identity_tokens
    assert (held.deployment_id, held.audience) == (run.lease.run.deployment_id, ISSUER[:-1])
    world.clock.advance(timedelta(minutes=5) + LEEWAY)
    assert run.left().identity_tokens == []
    settle_once(world.database, world.clock)
    with world.database.read() as tx:
        left = list(tx.execute(select(identity_tokens.c.jti)))
    assert len(left) <= 1  # a token ends at a whole second, and is forgotten after it
    world.clock.advance(timedelta(seconds=1))
    settle_once(world.database, world.clock)
    with world.database.read() as tx:
        assert list(tx.execute(select(identity_tokens.c.jti))) == []


def test_a_token_that_does_not_expire_is_outstanding_until_it_is_swept(run: Run):
    run.tell(run.log_in(), GivenToken(accessor=Secret(ACCESSOR), ttl_seconds=0))
    run.lose()
    (found,) = run.left().known
    assert found.until is None
    assert run.sweep() is not None
