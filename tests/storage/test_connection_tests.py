"""Connection tests in the server: who may ask, who may make them, and what is handed out for them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import jwt
import pytest
from sqlalchemy import select, text

from factories import Tenant, World
from runpass.errors import InvalidInput, StaleLease, TooManyRequests
from runpass.ids import VaultTaskId
from runpass.protocol.registration import Isolation
from runpass.protocol.vault_tasks import Checked, ConnectionTest, TestReport, Verdict
from runpass.secret import Secret
from runpass.server.audit import AuditEvent, hold_chains, record
from runpass.server.credentials.store import delete_assignment
from runpass.server.db.schema.audit import audit_events
from runpass.server.deployments.run_leases import take
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.runners.model import Runner
from runpass.server.vault_tasks import store
from runpass.server.vault_tasks.connection_tests import MOST_RECENT, RECENT, TestRules, finish_test, take_test
from runpass.server.vault_tasks.model import TAKES, WAITS, TaskStatus, VaultTask

ISSUER = "https://id.example.com/"
REPORT = TestReport(checks=(Checked(name="dns", verdict=Verdict.OK, seen="127.0.0.1"),))


@pytest.fixture
def rules(world: World) -> TestRules:
    minter = Minter(KeyRing((new_key(world.clock.now()),)), ISSUER, world.clock)
    parts = (world.database, world.cipher, world.clock)
    return TestRules(*parts, minter, ISSUER[:-1], IssuerAddresses(ISSUER, f"{ISSUER}.well-known/jwks.json"))


def now(tenant: Tenant, task: VaultTask) -> VaultTask:
    with tenant.world.database.read() as tx:
        found = store.get_task(tx, tenant.id, task.id)
    assert found is not None
    return found


def status(tenant: Tenant, task: VaultTask) -> TaskStatus:
    return now(tenant, task).status(tenant.world.clock.now())


def claims(token: Secret) -> dict[str, Any]:
    return jwt.decode(token.reveal(), options={"verify_signature": False, "verify_exp": False})


def finish(rules: TestRules, runner: Runner, test: ConnectionTest) -> None:
    finish_test(rules, runner, VaultTaskId(test.task_id), test.task_secret, REPORT)


def test_a_test_is_taken_once_with_both_tokens_and_ends_with_what_the_runner_saw(
    tenant: Tenant, world: World, rules: TestRules
):
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    runner = tenant.runner()
    task = tenant.connection_test(credential, project, "kv/app.password")
    assert status(tenant, task) is TaskStatus.QUEUED
    test = take_test(rules, runner)
    assert test is not None
    assert take_test(rules, runner) is None
    assert status(tenant, task) is TaskStatus.IN_PROGRESS
    assert (test.grant.credential_id, test.paths, test.issuer) == (credential.id, ("kv/app.password",), ISSUER)

    login, expired = claims(test.login_token), claims(test.expired_token)
    for item in (login, expired):
        assert item["organizationId"] == str(tenant.id)
        assert (item["projectId"], item["credentialId"]) == (str(project.id), str(credential.id))
        assert (item["apiKeyType"], item["aud"]) == ("oidc", ISSUER[:-1])
    assert (expired["iat"], expired["nbf"], expired["exp"]) == (1, 1, 2)
    assert login["exp"] - login["iat"] == 120

    finish(rules, runner, test)
    found = now(tenant, task)
    assert (found.checks, found.status(world.clock.now())) == (REPORT.checks, TaskStatus.DONE)
    with pytest.raises(StaleLease):
        finish(rules, runner, test)
    with world.database.read() as tx:
        of_it = select(audit_events.c.action, audit_events.c.actor).where(audit_events.c.subject_id == str(task.id))
        actions = [tuple(row) for row in tx.execute(of_it.order_by(audit_events.c.id))]
    assert actions == [
        ("connection_test.queued", tenant.admin.audit_name),
        ("identity_token.minted", runner.audit_name),
        ("identity_token.minted", runner.audit_name),
    ]


def test_only_the_runner_that_took_it_may_say_how_it_went(tenant: Tenant, rules: TestRules):
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    runner, other = tenant.runner(), tenant.runner()
    tenant.connection_test(credential, project)
    test = take_test(rules, runner)
    assert test is not None
    with pytest.raises(StaleLease):
        finish(rules, other, test)
    with pytest.raises(StaleLease):
        finish_test(rules, runner, VaultTaskId(test.task_id), Secret("rpt_other"), REPORT)
    finish(rules, runner, test)


def test_another_organizations_runner_takes_nothing(tenant: Tenant, world: World, rules: TestRules):
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    tenant.connection_test(credential, project)
    assert take_test(rules, world.tenant("other").runner()) is None
    assert take_test(rules, tenant.runner(pool="other")) is None
    assert take_test(rules, tenant.runner()) is not None


def test_a_credential_that_the_projects_runs_would_not_get_cannot_be_tested(tenant: Tenant, world: World):
    project, credential = tenant.project(), tenant.credential()
    with pytest.raises(InvalidInput, match="credentialId"):
        tenant.connection_test(credential, project)
    stranger = world.tenant("other")
    with pytest.raises(InvalidInput, match="credentialId"):
        tenant.connection_test(stranger.credential(), project)


def test_no_token_is_made_once_the_assignment_is_gone(tenant: Tenant, world: World, rules: TestRules):
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    task = tenant.connection_test(credential, project)
    with world.database.write() as tx:
        delete_assignment(tx, credential.id, project.id)
    assert take_test(rules, tenant.runner()) is None
    world.clock.advance(TAKES)
    assert status(tenant, task) is TaskStatus.LOST


def test_no_token_leaves_after_an_unassignment_that_was_recorded_before_it(
    tenant: Tenant, world: World, rules: TestRules
):
    """The change is written and has its place in the trail, but is not committed, while the test is taken."""
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    tenant.connection_test(credential, project)
    runner, now = tenant.runner(), world.clock.now()
    with ThreadPoolExecutor(1) as threads:
        with world.database.write() as tx:
            hold_chains(tx, [tenant.id])
            delete_assignment(tx, credential.id, project.id)
            record(tx, AuditEvent(now, "test", "credential.unassigned", "credential", "x", tenant.id))
            taken = threads.submit(take_test, rules, runner)
            while not world.database.is_sqlite and not _somebody_waits(world):
                assert not taken.done()
        assert taken.result() is None


def _somebody_waits(world: World) -> bool:
    with world.database.read() as tx:
        return bool(tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


def test_a_runner_without_isolation_gets_tests_of_its_own_project_only(tenant: Tenant, world: World, rules: TestRules):
    credential, first, second = tenant.credential(), tenant.project("first"), tenant.project("second")
    for project in (first, second):
        tenant.assign(credential, project)
    runner = tenant.runner(Isolation.NONE)
    tenant.connection_test(credential, first)
    assert take_test(rules, runner) is not None
    tenant.connection_test(credential, second)
    assert take_test(rules, runner) is None


def test_what_nobody_takes_or_ends_is_over_by_itself(tenant: Tenant, world: World, rules: TestRules):
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    runner = tenant.runner()
    waits = tenant.connection_test(credential, project)
    world.clock.advance(WAITS)
    assert status(tenant, waits) is TaskStatus.NOT_TAKEN
    assert take_test(rules, runner) is None
    taken = tenant.connection_test(credential, project)
    test = take_test(rules, runner)
    assert test is not None
    world.clock.advance(TAKES)
    assert status(tenant, taken) is TaskStatus.LOST
    with pytest.raises(StaleLease):
        finish(rules, runner, test)


def test_one_organization_asks_for_so_many_tests_and_not_more(tenant: Tenant, world: World):
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    for _ in range(MOST_RECENT):
        tenant.connection_test(credential, project)
    with pytest.raises(TooManyRequests):
        tenant.connection_test(credential, project)
    world.clock.advance(RECENT + timedelta(seconds=1))
    tenant.connection_test(credential, project)


def test_an_unisolated_runner_that_takes_a_run_and_a_test_at_once_serves_one_project(
    tenant: Tenant, world: World, rules: TestRules
):
    one, other, credential = tenant.project("one"), tenant.project("other"), tenant.credential()
    tenant.assign(credential, other)
    template = tenant.template(one)
    for number in range(8):
        runner = tenant.runner(Isolation.NONE)
        tenant.queue(tenant.environment(one, template, f"environment-{number}"))
        tenant.connection_test(credential, other)
        together = Barrier(2)

        def wait_and(take: Callable[[], Any], together: Barrier = together) -> Any:
            together.wait()
            return take()

        with ThreadPoolExecutor(2) as pool:
            run = pool.submit(wait_and, lambda runner=runner: take(world.rules, runner))
            test = pool.submit(wait_and, lambda runner=runner: take_test(rules, runner))
        assert (run.result() is None) != (test.result() is None)
