"""Tokens for runs: for whom they are made, and for whom never."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import select, update

from factories import LEASE, MovingClock, Tenant, World, holder
from runpass.errors import Conflict, Forbidden, StaleLease
from runpass.ids import new_id
from runpass.protocol.identity import ForCredential, ForJob, IdentityToken
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.server.credentials.store import delete_assignment, delete_credential
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.deployments import run_leases
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.identity import MAX_TOKENS, Passport
from runpass.server.deployments.run_leases import finish, take
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.runners.model import Runner
from runpass.server.tenancy.model import Project

ISSUER = "https://id.example.com/"


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return KeyRing((new_key(MovingClock().now()),))


@pytest.fixture
def passport(world: World, ring: KeyRing) -> Passport:
    return Passport(
        world.rules,
        Minter(ring, ISSUER, world.clock),
        own=OwnAudiences(ISSUER[:-1], (ISSUER,)),
        lifetime=timedelta(minutes=15),
    )


def claims(token: IdentityToken) -> dict[str, Any]:
    return jwt.decode(token.token.reveal(), options={"verify_signature": False})


def taken(tenant: Tenant) -> tuple[Project, Runner, RunLease]:
    project, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    runner = tenant.runner()
    lease = take(tenant.world.rules, runner)
    assert lease is not None
    return project, runner, lease


def test_the_login_token_of_an_assigned_credential_names_it(tenant: Tenant, world: World, passport: Passport):
    project, runner, lease = taken(tenant)
    credential = tenant.credential()
    tenant.assign(credential, project)
    token = passport.issue(holder(runner, lease), ForCredential(credential_id=credential.id))
    found = claims(token)
    assert found["credentialId"] == str(credential.id)
    assert (found["iss"], found["sub"], found["aud"]) == (ISSUER, str(tenant.id), ISSUER[:-1])
    assert (found["projectId"], found["deploymentLogId"]) == (str(project.id), str(lease.run.deployment_id))
    assert (found["runnerId"], found["runnerPool"], found["runnerIsolation"]) == (str(runner.id), "default", "uid")
    assert token.expires_at == world.clock.now().replace(microsecond=0) + timedelta(minutes=10)  # the run's timeout


def test_the_token_of_the_job_never_names_a_credential(tenant: Tenant, passport: Passport):
    project, runner, lease = taken(tenant)
    tenant.assign(tenant.credential(), project)
    assert "credentialId" not in claims(passport.issue(holder(runner, lease), ForJob()))


def test_a_credential_in_clear_text_gets_no_token_once_the_policy_is_taken_back(
    tenant: Tenant, world: World, passport: Passport
):
    def permit(*, clear_text: bool) -> None:
        tenant.set_organization(allow_clear_text_vault=clear_text)

    permit(clear_text=True)
    project, runner, lease = taken(tenant)
    credential = tenant.credential(name="in the clear", address="http://vault.example.com:8200")
    tenant.assign(credential, project)
    passport.issue(holder(runner, lease), ForCredential(credential_id=credential.id))
    permit(clear_text=False)
    with pytest.raises(Forbidden, match="the credential in the clear"):
        passport.issue(holder(runner, lease), ForCredential(credential_id=credential.id))


def test_a_credential_that_is_not_assigned_gets_no_token(tenant: Tenant, world: World, passport: Passport):
    project, runner, lease = taken(tenant)
    assigned, unassigned = tenant.credential(name="a"), tenant.credential(name="b")
    tenant.assign(assigned, project)
    elsewhere = tenant.project("elsewhere")
    tenant.assign(unassigned, elsewhere)
    foreign = world.tenant("stranger").credential()
    for wanted in (unassigned.id, foreign.id, new_id()):
        with pytest.raises(Forbidden):
            passport.issue(holder(runner, lease), ForCredential(credential_id=wanted))


@pytest.mark.parametrize("how", ["unassigned", "deleted"])
def test_a_credential_taken_away_during_a_run_gets_no_more_tokens(tenant: Tenant, passport: Passport, how: str):
    project, runner, lease = taken(tenant)
    credential = tenant.credential()
    tenant.assign(credential, project)
    purpose = ForCredential(credential_id=credential.id)
    passport.issue(holder(runner, lease), purpose)
    with tenant.world.database.write() as tx:
        if how == "unassigned":
            delete_assignment(tx, credential.id, project.id)
        else:
            delete_credential(tx, credential.id)
    with pytest.raises(Forbidden):
        passport.issue(holder(runner, lease), purpose)


def test_a_sub_project_inherits_credentials_until_it_has_its_own(tenant: Tenant, passport: Passport):
    parent = tenant.project("parent")
    child = tenant.project("child", parent)
    inherited, own = tenant.credential(name="inherited"), tenant.credential(name="own")
    tenant.assign(inherited, parent)
    tenant.queue(tenant.environment(child, tenant.template(child)))
    runner = tenant.runner()
    lease = take(tenant.world.rules, runner)
    assert lease is not None
    assert [item.credential_id for item in lease.credentials] == [inherited.id]
    passport.issue(holder(runner, lease), ForCredential(credential_id=inherited.id))

    tenant.assign(own, child)
    passport.issue(holder(runner, lease), ForCredential(credential_id=own.id))
    with pytest.raises(Forbidden):
        passport.issue(holder(runner, lease), ForCredential(credential_id=inherited.id))


def test_a_job_without_credentials_gets_a_token_only_if_the_organization_says_so(tenant: Tenant, passport: Passport):
    _, runner, lease = taken(tenant)
    assert not lease.identity
    with pytest.raises(Forbidden):
        passport.issue(holder(runner, lease), ForJob())
    tenant.set_organization(enable_oidc=True)
    assert claims(passport.issue(holder(runner, lease), ForJob()))["organizationId"] == str(tenant.id)


def test_a_run_that_is_over_gets_no_token(tenant: Tenant, passport: Passport):
    project, runner, lease = taken(tenant)
    tenant.assign(tenant.credential(), project)
    finish(tenant.world.rules, holder(runner, lease), Finish(fencing_token=1, outcome=Outcome.SUCCESS))
    with pytest.raises(StaleLease):
        passport.issue(holder(runner, lease), ForJob())


def test_a_run_lease_that_expired_gets_no_token(tenant: Tenant, world: World, passport: Passport):
    project, runner, lease = taken(tenant)
    tenant.assign(tenant.credential(), project)
    world.clock.advance(LEASE)
    with pytest.raises(StaleLease):
        passport.issue(holder(runner, lease), ForJob())


def test_a_run_asks_for_a_limited_number_of_tokens(tenant: Tenant, world: World, passport: Passport):
    project, runner, lease = taken(tenant)
    tenant.assign(tenant.credential(), project)
    with world.database.write() as tx:
        tx.execute(update(run_leases).values(tokens_minted=MAX_TOKENS - 1))
    passport.issue(holder(runner, lease), ForJob())
    with pytest.raises(Conflict, match="1000 tokens"):
        passport.issue(holder(runner, lease), ForJob())


def test_every_token_is_in_the_trail_by_its_id_and_never_itself(tenant: Tenant, world: World, passport: Passport):
    project, runner, lease = taken(tenant)
    credential = tenant.credential()
    tenant.assign(credential, project)
    tokens = [passport.issue(holder(runner, lease), ForJob())]
    tokens.append(passport.issue(holder(runner, lease), ForCredential(credential_id=credential.id)))
    with world.database.read() as tx:
        minted = select(audit_events).where(audit_events.c.action == "identity_token.minted")
        rows = tx.execute(minted.order_by(audit_events.c.id)).all()
    assert [row.detail["jti"] for row in rows] == [token.jti for token in tokens]
    assert [row.detail.get("credentialId") for row in rows] == [None, str(credential.id)]
    for token in tokens:
        assert not any(token.token.reveal().rpartition(".")[2] in repr(row) for row in rows)
