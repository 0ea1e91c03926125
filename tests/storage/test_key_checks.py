"""Key checks in the server: which Vaults are known, who may check them, and what is kept of the answer."""

from datetime import timedelta

import jwt
import pytest
from sqlalchemy import select, update

from factories import Tenant, World
from runpass.errors import StaleLease
from runpass.ids import VaultTaskId
from runpass.protocol.key_checks import KeyCheck, KeyCheckReport, ProbeVerdict, Refetched
from runpass.protocol.registration import Isolation
from runpass.secret import Secret
from runpass.server.credentials.store import delete_assignment, delete_credential
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.key_checks import key_checks
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.runners.model import Runner
from runpass.server.vault_tasks.connection_tests import TestRules, take_test
from runpass.server.vault_tasks.key_check_model import StoredKeyCheck
from runpass.server.vault_tasks.key_check_store import pools_with_checks
from runpass.server.vault_tasks.key_checks import (
    CHANGED,
    KEPT,
    UNREADABLE,
    Probe,
    finish_key_check,
    results_of,
    take_key_check,
    want_key_checks,
)
from runpass.server.vault_tasks.known_vaults import KnownVault, known_vaults
from runpass.server.vault_tasks.model import TAKES, WAITS, TaskStatus

ISSUER = "https://id.example.com/"
FETCHED = KeyCheckReport(reached=True, refetched=Refetched.FETCHED, said="failed to verify id token signature")


@pytest.fixture
def rules(world: World) -> TestRules:
    minter = Minter(KeyRing((new_key(world.clock.now()),)), ISSUER, world.clock)
    parts = (world.database, world.cipher, world.clock)
    return TestRules(*parts, minter, ISSUER[:-1], IssuerAddresses(ISSUER, f"{ISSUER}.well-known/jwks.json"))


def known(world: World) -> tuple[KnownVault, ...]:
    with world.database.read() as tx:
        return known_vaults(tx)


def want(world: World, *, probe: Probe | None = None, turn: int = 0) -> tuple[VaultTaskId, ...]:
    with world.database.write() as tx:
        return want_key_checks(tx, known_vaults(tx), world.clock.now(), about_kid="kid", probe=probe, turn=turn)


def result(world: World, check_id: VaultTaskId) -> StoredKeyCheck:
    with world.database.read() as tx:
        (found,) = results_of(tx, [check_id])
    return found


def finish(rules: TestRules, runner: Runner, check: KeyCheck, report: KeyCheckReport = FETCHED) -> None:
    finish_key_check(rules, runner, VaultTaskId(check.task_id), check.task_secret, report)


def test_a_vault_is_known_by_its_auth_mount_and_each_organization_knows_its_own(tenant: Tenant, world: World):
    other = world.tenant("other")
    tenant.credential(name="one")
    tenant.credential(name="two", roleName="plan")
    tenant.credential(name="three", jwtAuthBackendPath="other")
    tenant.credential(name="four", namespace="team")
    other.credential()
    found = [(vault.organization_id, str(vault.place), len(vault.credentials)) for vault in known(world)]
    address = "https://vault.example.com:8200"
    assert sorted(found, key=str) == sorted(
        [
            (tenant.id, f"{address} auth/jwt", 2),
            (tenant.id, f"{address} auth/other", 1),
            (tenant.id, f"{address} namespace team auth/jwt", 1),
            (other.id, f"{address} auth/jwt", 1),
        ],
        key=str,
    )


def test_a_check_is_taken_once_and_its_answer_is_kept(tenant: Tenant, world: World, rules: TestRules):
    credential = tenant.credential()
    tenant.assign(credential, tenant.project())
    runner, other = tenant.runner(), tenant.runner()
    (check_id,) = want(world)
    with world.database.read() as tx:
        assert pools_with_checks(tx, world.clock.now()) == {runner.pool_id}
    assert result(world, check_id).status(world.clock.now()) is TaskStatus.QUEUED
    assert take_key_check(rules, world.tenant("stranger").runner()) is None
    assert take_key_check(rules, tenant.runner(pool="other")) is None
    check = take_key_check(rules, runner)
    assert check is not None
    assert take_key_check(rules, other) is None
    assert (check.grant.credential_id, check.probe) == (credential.id, None)
    token = check.refetch_token.reveal()
    claims = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    assert (claims["iss"], claims["exp"]) == (ISSUER, 2)
    assert jwt.get_unverified_header(token)["kid"] != rules.minter.ring.signing.kid
    for holder, secret in ((other, check.task_secret), (runner, Secret("rpt_other"))):
        with pytest.raises(StaleLease):
            finish_key_check(rules, holder, check_id, secret, FETCHED)
    finish(rules, runner, check)
    found = result(world, check_id)
    assert (found.status(world.clock.now()), found.refetched, found.said) == (
        TaskStatus.DONE,
        Refetched.FETCHED,
        FETCHED.said,
    )
    assert not found.confirms  # nobody saw a fetch
    with pytest.raises(StaleLease):
        finish(rules, runner, check)
    with world.database.read() as tx:
        of_it = select(audit_events.c.action, audit_events.c.actor).where(audit_events.c.subject_id == str(check_id))
        assert [tuple(row) for row in tx.execute(of_it)] == [("key_check.taken", runner.audit_name)]


def test_what_nobody_takes_or_ends_is_over_by_itself_and_forgotten_one_day(
    tenant: Tenant, world: World, rules: TestRules
):
    tenant.credential()
    (nobodys,) = want(world)
    runner = tenant.runner()
    assert take_key_check(rules, runner) is None  # it was nobody's from the beginning
    (late,) = want(world)
    world.clock.advance(WAITS)
    assert take_key_check(rules, runner) is None
    (lost,) = want(world)
    check = take_key_check(rules, runner)
    assert check is not None
    world.clock.advance(TAKES)
    with pytest.raises(StaleLease):
        finish(rules, runner, check)
    statuses = [result(world, item).status(world.clock.now()) for item in (nobodys, late, lost)]
    assert statuses == [TaskStatus.NOT_TAKEN, TaskStatus.NOT_TAKEN, TaskStatus.LOST]
    world.clock.advance(KEPT + timedelta(seconds=1))
    want(world)
    with world.database.read() as tx:
        assert results_of(tx, [nobodys, late, lost]) == []


def test_a_probe_is_kept_encrypted_and_its_verdict_comes_back(tenant: Tenant, world: World, rules: TestRules):
    tenant.credential()
    runner = tenant.runner()
    probe = Probe("suspect", Secret("the.probe.itself"), world.cipher)
    (check_id,) = want(world, probe=probe)
    with world.database.read() as tx:
        sealed = tx.execute(select(key_checks.c.probe_sealed)).scalar_one()
    assert b"probe" not in sealed
    check = take_key_check(rules, runner)
    assert check is not None
    assert check.probe is not None
    assert check.probe.reveal() == "the.probe.itself"
    finish(rules, runner, check, FETCHED.model_copy(update={"probe_verdict": ProbeVerdict.REFUSED_SIGNATURE}))
    found = result(world, check_id)
    assert (found.probe_kid, found.probe_verdict) == ("suspect", ProbeVerdict.REFUSED_SIGNATURE)


def test_what_does_not_open_ends_its_check_and_keeps_no_other_from_being_made(
    tenant: Tenant, world: World, rules: TestRules
):
    tenant.credential()
    tenant.credential(jwtAuthBackendPath="other")
    runner = tenant.runner()
    broken, whole = want(world, probe=Probe("suspect", Secret("x"), world.cipher))
    with world.database.write() as tx:
        tx.execute(update(key_checks).where(key_checks.c.id == broken).values(probe_sealed=b"changed"))
    assert take_key_check(rules, runner) is None
    assert result(world, broken).said == UNREADABLE
    check = take_key_check(rules, runner)
    assert check is not None
    assert check.task_id == whole


def test_a_check_goes_only_where_the_credential_points_at_that_moment(tenant: Tenant, world: World, rules: TestRules):
    credential = tenant.credential()
    runner = tenant.runner()
    (gone,) = want(world)
    with world.database.write() as tx:
        delete_credential(tx, credential.id)
    assert take_key_check(rules, runner) is None
    assert result(world, gone).said == CHANGED
    tenant.set_organization(allow_clear_text_vault=True)
    tenant.credential(address="http://vault.example.com")
    (clear,) = want(world)
    tenant.set_organization(allow_clear_text_vault=False)
    assert take_key_check(rules, runner) is None
    assert "allowClearTextVault" in (result(world, clear).said or "")


def test_a_runner_without_isolation_gets_credentials_of_its_own_project_only(
    tenant: Tenant, world: World, rules: TestRules
):
    mine, project = tenant.credential(), tenant.project()
    tenant.assign(mine, project)
    fresh, bound = tenant.runner(Isolation.NONE), tenant.runner(Isolation.NONE)
    tenant.connection_test(mine, project)
    assert take_test(rules, bound) is not None
    tenant.credential(jwtAuthBackendPath="nobodys")
    want(world)
    assert take_key_check(rules, fresh) is None
    check = take_key_check(rules, bound)
    assert check is not None
    assert check.grant.credential_id == mine.id
    assert take_key_check(rules, bound) is None
    want(world)
    with world.database.write() as tx:
        delete_assignment(tx, mine.id, project.id)
    assert take_key_check(rules, bound) is None


def test_another_turn_goes_through_another_credential_and_another_pool(tenant: Tenant, world: World, rules: TestRules):
    credentials = [tenant.credential(name=name, roleName=name) for name in ("one", "two")]
    runners = [tenant.runner(pool=name) for name in ("a", "b")]
    taken = set()
    for turn in range(4):
        want(world, turn=turn)
        taken |= {
            (check.grant.credential_id, runner.pool) for runner in runners if (check := take_key_check(rules, runner))
        }
    assert taken == {(credential.id, runner.pool) for credential in credentials for runner in runners}
