"""Tokens that are made at the same time go with one commit; what is remembered of a run never outlives its end."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest
from sqlalchemy import func, select, text, update

from factories import LEASE, RUN_TIMEOUT_SECONDS, MovingClock, Tenant, World, holder
from runpass.clock import unix_seconds
from runpass.errors import Conflict, Forbidden, StaleLease
from runpass.protocol.identity import ForCredential, ForJob, IdentityToken
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.secret import Secret
from runpass.server.audit import AuditEvent, hold_chains, record
from runpass.server.credentials.store import delete_assignment
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.deployments import run_leases
from runpass.server.db.schema.vault_logins import identity_tokens
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.identity import Passport
from runpass.server.deployments.mint_commit import MAX_TOKENS
from runpass.server.deployments.run_leases import Holder, finish, heartbeat, take
from runpass.server.deployments.store import get_deployment
from runpass.server.deployments.transitions import Event
from runpass.server.http.origin import working_for
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.runners.store import revoke_runner
from runpass.server.trail.verifying import verify

ISSUER = "https://id.example.com/"
JOB = ForJob()
KEY = new_key(MovingClock().now(), Algorithm.ES256)


def server(world: World, lifetime: timedelta = timedelta(minutes=15)) -> Passport:
    """What mints in one server process."""
    minter = Minter(KeyRing((KEY,)), ISSUER, world.clock)
    return Passport(world.rules, minter, own=OwnAudiences(ISSUER[:-1], (ISSUER,)), lifetime=lifetime)


@pytest.fixture
def passport(world: World) -> Passport:
    return server(world)


class Runs:
    """Runs that go on, of one project with an assigned credential, all on one runner."""

    def __init__(self, tenant: Tenant, count: int = 1) -> None:
        self.tenant = tenant
        self.project, first = tenant.somewhere_to_deploy()
        self.credential = tenant.credential()
        self.assignment = tenant.assign(self.credential, self.project)
        template = tenant.template(self.project, name="another")
        others = [tenant.environment(self.project, template, name=f"e{number}") for number in range(1, count)]
        for environment in (first, *others):
            tenant.queue(environment)
        self.runner = tenant.runner(capacity=count)
        self.leases = [self._taken() for _ in range(count)]
        self.holders = [holder(self.runner, lease) for lease in self.leases]

    @property
    def holder(self) -> Holder:
        return self.holders[0]

    @property
    def lease(self) -> RunLease:
        return self.leases[0]

    def _taken(self) -> RunLease:
        lease = take(self.tenant.world.rules, self.runner)
        assert lease is not None
        return lease

    def minted(self) -> list[int]:
        with self.tenant.world.database.read() as tx:
            return list(tx.execute(select(run_leases.c.tokens_minted).order_by(run_leases.c.id)).scalars())


def jtis_in_the_trail(world: World) -> list[str]:
    with world.database.read() as tx:
        minted = select(audit_events.c.detail).where(audit_events.c.action == "identity_token.minted")
        return [row.detail["jti"] for row in tx.execute(minted)]


def test_tokens_of_many_threads_and_servers_are_all_counted_and_in_the_trail(tenant: Tenant, world: World):
    runs = Runs(tenant, count=3)
    servers = [server(world), server(world)]

    def mint(number: int) -> IdentityToken:
        if number % 7 == 0:
            heartbeat(world.rules, runs.holders[number % 3])
        return servers[number % 2].issue(runs.holders[number % 3], JOB)

    with ThreadPoolExecutor(12) as threads:
        tokens = list(threads.map(mint, range(60)))
    assert runs.minted() == [20, 20, 20]
    assert sorted(jtis_in_the_trail(world)) == sorted(token.jti for token in tokens)
    with world.database.read() as tx:
        assert tx.execute(select(func.count()).select_from(identity_tokens)).scalar_one() == 60
    assert not any(report.fault for report in verify(world.database))


def test_of_many_that_ask_at_once_only_as_many_get_a_token_as_the_run_has_left(tenant: Tenant, world: World):
    runs, servers = Runs(tenant), [server(world), server(world)]
    for one in servers:
        one.issue(runs.holder, JOB)  # both remember the run as it was
    with world.database.write() as tx:
        tx.execute(update(run_leases).values(tokens_minted=MAX_TOKENS - 5))

    def mint(number: int) -> bool:
        try:
            return bool(servers[number % 2].issue(runs.holder, JOB))
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(mint, range(20))) == 5
    assert runs.minted() == [MAX_TOKENS]


def test_a_run_that_has_ended_does_not_stop_those_that_ask_with_it(tenant: Tenant, world: World, passport: Passport):
    runs = Runs(tenant, count=3)
    for one in runs.holders:
        passport.issue(one, JOB)
    finish(world.rules, runs.holders[1], Finish(fencing_token=1, outcome=Outcome.SUCCESS))
    first, ended, last = passport.answers([passport.by_runner(one, JOB) for one in runs.holders])
    assert isinstance(first, IdentityToken)
    assert isinstance(last, IdentityToken)
    assert isinstance(ended, StaleLease)
    assert sorted(runs.minted()) == [1, 2, 2]


@contextmanager
def _out_of_reach(world: World, table: str) -> Iterator[None]:
    with world.database.write() as tx:
        tx.execute(text(f"ALTER TABLE {table} RENAME TO out_of_reach"))
    try:
        yield
    finally:
        with world.database.write() as tx:
            tx.execute(text(f"ALTER TABLE out_of_reach RENAME TO {table}"))


@pytest.mark.parametrize("table", ["audit_events", "identity_tokens"])
def test_what_cannot_be_recorded_does_not_leave(tenant: Tenant, world: World, passport: Passport, table: str):
    runs = Runs(tenant, count=3)
    for one in runs.holders:
        passport.issue(one, JOB)
    with _out_of_reach(world, table):
        answers = passport.answers([passport.by_runner(one, JOB) for one in runs.holders])
    assert [type(answer) for answer in answers if isinstance(answer, IdentityToken)] == []
    assert runs.minted() == [1, 1, 1]
    assert isinstance(passport.issue(runs.holder, JOB), IdentityToken)


def _finish(runs: Runs) -> None:
    finish(runs.tenant.world.rules, runs.holder, Finish(fencing_token=1, outcome=Outcome.SUCCESS))


def _cancel(runs: Runs) -> None:
    world = runs.tenant.world
    with world.database.write() as tx:
        deployment = get_deployment(tx, runs.tenant.id, runs.lease.run.deployment_id)
        assert deployment is not None
        change_state(tx, deployment, Event.ABORT, by="test", now=world.clock.now())


def _lose(runs: Runs) -> None:
    runs.tenant.world.clock.advance(LEASE)


def _revoke(runs: Runs) -> None:
    with runs.tenant.world.database.write() as tx:
        revoke_runner(tx, runs.tenant.id, runs.runner.id, runs.tenant.world.clock.now())


@pytest.mark.parametrize("end", [_finish, _cancel, _lose, _revoke])
def test_a_run_that_is_remembered_gets_no_token_once_it_is_over(
    tenant: Tenant, passport: Passport, end: Callable[[Runs], None]
):
    runs = Runs(tenant)
    passport.issue(runs.holder, JOB)
    end(runs)
    with pytest.raises((StaleLease, Forbidden)):
        passport.issue(runs.holder, JOB)
    with pytest.raises((StaleLease, Forbidden)):
        passport.issue(runs.holder, ForCredential(credential_id=runs.credential.id))
    assert runs.minted() == [1]


def test_a_policy_that_is_taken_back_counts_at_once(tenant: Tenant, passport: Passport):
    tenant.set_organization(enable_oidc=True)
    _, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    runner = tenant.runner()
    lease = take(tenant.world.rules, runner)
    assert lease is not None
    passport.issue(holder(runner, lease), JOB)
    tenant.set_organization(enable_oidc=False)
    with pytest.raises(Forbidden, match="does not enable OIDC"):
        passport.issue(holder(runner, lease), JOB)


def test_an_assignment_that_is_taken_back_counts_at_once_for_logins_and_within_a_second_for_the_job(
    tenant: Tenant, world: World, passport: Passport
):
    runs = Runs(tenant)
    passport.issue(runs.holder, JOB)
    with world.database.write() as tx:
        delete_assignment(tx, runs.credential.id, runs.project.id)
    with pytest.raises(Forbidden, match="not assigned"):
        passport.issue(runs.holder, ForCredential(credential_id=runs.credential.id))
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(Forbidden, match="no OIDC credential"):
        passport.issue(runs.holder, JOB)


def test_an_assignment_that_is_taken_back_between_reading_and_commit_lets_no_login_token_go(
    tenant: Tenant, world: World, passport: Passport
):
    runs = Runs(tenant, count=2)
    going_on, taken_back = (
        passport.by_runner(one, ForCredential(credential_id=runs.credential.id)) for one in runs.holders
    )
    read_before = [taken_back.read()]
    with world.database.write() as tx:
        delete_assignment(tx, runs.credential.id, runs.project.id)
    late = replace(taken_back, read=lambda: read_before.pop() if read_before else taken_back.read())
    answers = passport.answers([going_on, late, passport.by_runner(runs.holder, JOB)])
    assert [str(answer) for answer in answers[:2]] == ["this credential is not assigned to the run's project"] * 2
    assert runs.minted() == [0, 0]


def _unassign(runs: Runs, tx: Transaction) -> None:
    delete_assignment(tx, runs.credential.id, runs.project.id)
    now, organization = runs.tenant.world.clock.now(), runs.tenant.id
    record(tx, AuditEvent(now, "test", "credential.unassigned", "credential", "x", organization))


def _abort(runs: Runs, tx: Transaction) -> None:
    deployment = get_deployment(tx, runs.tenant.id, runs.lease.run.deployment_id)
    assert deployment is not None
    change_state(tx, deployment, Event.ABORT, by="test", now=runs.tenant.world.clock.now())


@pytest.mark.parametrize("change", [_abort, _unassign])
def test_no_token_leaves_after_a_change_that_was_recorded_before_it(
    tenant: Tenant, world: World, passport: Passport, change: Callable[[Runs, Transaction], None]
):
    """The change is written and has its place in the trail, but is not committed, while the token is made."""
    runs = Runs(tenant)
    passport.issue(runs.holder, JOB)
    question = passport.by_runner(runs.holder, ForCredential(credential_id=runs.credential.id))
    read_before = [question.read()]
    early = replace(question, read=lambda: read_before.pop() if read_before else question.read())
    with ThreadPoolExecutor(1) as threads:
        with world.database.write() as tx:
            hold_chains(tx, [tenant.id])
            change(runs, tx)
            asked = threads.submit(passport.answers, [early])
            while not world.database.is_sqlite and not _somebody_waits(world):
                assert not asked.done()
        (answer,) = asked.result()
    assert isinstance(answer, Forbidden | StaleLease)
    assert runs.minted() == [1]
    assert len(jtis_in_the_trail(world)) == 1


def _somebody_waits(world: World) -> bool:
    with world.database.read() as tx:
        return bool(tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


def test_only_the_very_holder_is_remembered(tenant: Tenant, passport: Passport):
    runs = Runs(tenant, count=2)
    other = tenant.runner()
    mine, second = runs.holders
    passport.issue(mine, JOB)
    passport.issue(second, JOB)
    wrong = [
        Holder(other, mine.lease_id, mine.secret, mine.fencing_token),
        Holder(mine.runner, mine.lease_id, second.secret, mine.fencing_token),
        Holder(mine.runner, mine.lease_id, Secret(""), mine.fencing_token),
        Holder(mine.runner, mine.lease_id, mine.secret, mine.fencing_token + 1),
        Holder(mine.runner, second.lease_id, mine.secret, mine.fencing_token),
    ]
    for one in wrong:
        with pytest.raises(StaleLease):
            passport.issue(one, JOB)


def test_each_record_names_the_request_it_came_with(tenant: Tenant, world: World, passport: Passport):
    runs = Runs(tenant, count=2)
    questions = []
    for number, one in enumerate(runs.holders):
        with working_for({"type": "http", "request_id": f"request {number}", "client": (f"192.0.2.{number}", 1)}):
            questions.append(passport.by_runner(one, JOB))
    first, second = passport.answers(questions)
    assert isinstance(first, IdentityToken)
    assert isinstance(second, IdentityToken)
    with world.database.read() as tx:
        rows = tx.execute(select(audit_events).where(audit_events.c.action == "identity_token.minted")).all()
    assert {(row.detail["jti"], row.request_id, row.address) for row in rows} == {
        (first.jti, "request 0", "192.0.2.0"),
        (second.jti, "request 1", "192.0.2.1"),
    }


def times(token: IdentityToken) -> dict[str, int]:
    claims = jwt.decode(token.token.reveal(), options={"verify_signature": False})
    return {name: claims[name] for name in ("iat", "nbf", "exp")}


@pytest.mark.parametrize(
    ("lifetime", "lives"),
    [
        (timedelta(minutes=5), timedelta(minutes=5)),
        (timedelta(minutes=15), timedelta(seconds=RUN_TIMEOUT_SECONDS)),
        (timedelta(hours=24), timedelta(seconds=RUN_TIMEOUT_SECONDS)),
    ],
)
def test_a_token_lives_as_long_as_is_set_and_never_longer_than_the_runs_time_out(
    tenant: Tenant, world: World, lifetime: timedelta, lives: timedelta
):
    found = times(server(world, lifetime).issue(Runs(tenant).holder, JOB))
    assert found["exp"] - found["iat"] == lives.total_seconds()


def test_a_clock_that_is_put_back_makes_no_token_live_longer(tenant: Tenant, world: World, passport: Passport):
    runs = Runs(tenant)
    before = times(passport.issue(runs.holder, JOB))
    world.clock.advance(timedelta(hours=-1))
    after = times(passport.issue(runs.holder, JOB))
    assert after["iat"] == after["nbf"] == unix_seconds(world.clock.now())
    assert after["exp"] - after["iat"] == before["exp"] - before["iat"]
    assert after["exp"] < before["exp"]
    assert runs.minted() == [2]
