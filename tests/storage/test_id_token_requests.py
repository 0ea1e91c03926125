"""A job that asks for tokens by itself: what it gets, and from when on it gets none."""

from datetime import timedelta

import jwt
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import ProgrammingError

from factories import LEASE, Tenant, World, holder
from runpass.errors import Conflict, Forbidden, InvalidInput, RunpassError, Unauthenticated
from runpass.ids import RunLeaseId, new_id
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.secret import Secret
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.deployments import run_leases
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.identity import MAX_TOKENS, Passport
from runpass.server.deployments.run_leases import finish, take
from runpass.server.deployments.store import get_deployment
from runpass.server.deployments.transitions import Event
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.runners.store import revoke_runner

ISSUER = "https://id.example.com/"
SHARED = ISSUER[:-1]


@pytest.fixture
def passport(world: World) -> Passport:
    minter = Minter(KeyRing((new_key(world.clock.now()),)), ISSUER, world.clock)
    own = OwnAudiences(SHARED, (ISSUER, "https://runpass.example.com"))
    return Passport(world.rules, minter, own=own, lifetime=timedelta(minutes=15))


class Run:
    """A run that goes on, in a project with an assigned credential."""

    def __init__(self, tenant: Tenant, **credential: str) -> None:
        self.tenant = tenant
        self.project, environment = tenant.somewhere_to_deploy()
        self.credential = tenant.credential(**credential)
        tenant.assign(self.credential, self.project)
        tenant.queue(environment)
        self.runner = tenant.runner()
        lease = take(tenant.world.rules, self.runner)
        assert lease is not None
        self.lease: RunLease = lease
        assert lease.id_token_request_token is not None
        self.bearer: Secret = lease.id_token_request_token

    def ask(self, passport: Passport, *audiences: str, bearer: Secret | None = None) -> dict:
        answer = passport.issue_on_demand(
            RunLeaseId(self.lease.lease_id), self.bearer if bearer is None else bearer, audiences
        )
        return jwt.decode(answer.token.reveal(), options={"verify_signature": False})


def test_the_token_is_the_runs_own_with_the_audience_it_asked_for(tenant: Tenant, passport: Passport):
    run = Run(tenant)
    found = run.ask(passport, "sts.amazonaws.com")
    assert (found["aud"], found["sub"], found["iss"]) == ("sts.amazonaws.com", str(tenant.id), ISSUER)
    assert found["deploymentLogId"] == str(run.lease.run.deployment_id)
    assert "credentialId" not in found
    assert run.ask(passport)["aud"] == SHARED
    assert run.ask(passport)["jti"] != run.ask(passport)["jti"]


def test_a_credentials_audience_is_given_without_the_credentials_claim(tenant: Tenant, passport: Passport):
    run = Run(tenant, tokenFormat="credential")
    audience = f"urn:runpass:credential:{run.credential.id}"
    found = run.ask(passport, audience)
    assert found["aud"] == audience
    assert "credentialId" not in found
    other = tenant.credential(name="other", tokenFormat="credential")
    with pytest.raises(Forbidden, match="not assigned"):
        run.ask(passport, f"urn:runpass:credential:{other.id}")
    with pytest.raises(InvalidInput):
        run.ask(passport, audience, SHARED)


def test_the_organization_can_limit_audiences(tenant: Tenant, passport: Passport):
    run = Run(tenant)
    tenant.set_organization(policies={"allowed_identity_audiences": ["sts.amazonaws.com"]})
    run.ask(passport, "sts.amazonaws.com")
    run.ask(passport)
    with pytest.raises(Forbidden, match="allowedIdentityAudiences"):
        run.ask(passport, "sigstore")


def test_only_the_very_bearer_of_the_run_is_taken(tenant: Tenant, world: World, passport: Passport):
    run, other = Run(tenant), Run(world.tenant("other"))
    wrong = [other.bearer, run.lease.lease_secret, Secret(""), Secret(run.bearer.reveal()[:-1]), Secret("x" * 5000)]
    for bearer in wrong:
        with pytest.raises(Unauthenticated, match="run that goes on"):
            run.ask(passport, bearer=bearer)
    with pytest.raises(Unauthenticated, match="run that goes on"):
        passport.issue_on_demand(RunLeaseId(new_id()), run.bearer, [])


def _finish(run: Run) -> None:
    finish(run.tenant.world.rules, holder(run.runner, run.lease), Finish(fencing_token=1, outcome=Outcome.SUCCESS))


def _abort(run: Run) -> None:
    world = run.tenant.world
    with world.database.write() as tx:
        deployment = get_deployment(tx, run.tenant.id, run.lease.run.deployment_id)
        assert deployment is not None
        change_state(tx, deployment, Event.ABORT, by="test", now=world.clock.now())


def _lose(run: Run) -> None:
    run.tenant.world.clock.advance(LEASE)


def _revoke(run: Run) -> None:
    with run.tenant.world.database.write() as tx:
        revoke_runner(tx, run.tenant.id, run.runner.id, run.tenant.world.clock.now())


@pytest.mark.parametrize("end", [_finish, _abort, _lose, _revoke])
def test_a_run_that_is_over_gets_none_from_that_moment_on(tenant: Tenant, passport: Passport, end):
    run = Run(tenant)
    run.ask(passport)
    end(run)
    with pytest.raises(Unauthenticated, match="run that goes on"):
        run.ask(passport)


def test_a_run_without_identity_has_nothing_to_ask_with(tenant: Tenant, world: World):
    _, environment = tenant.somewhere_to_deploy()
    tenant.queue(environment)
    lease = take(world.rules, tenant.runner())
    assert lease is not None
    assert (lease.identity, lease.id_token_request_token) == (False, None)


def test_the_bearer_is_stored_as_a_digest_alone(tenant: Tenant, world: World):
    run = Run(tenant)
    with world.database.read() as tx:
        row = tx.execute(select(run_leases)).one()
    assert len(row.id_token_sha256) == 32
    assert run.bearer.reveal() not in repr(row)
    assert row.id_token_sha256 != row.secret_sha256


def test_what_is_given_and_what_is_refused_is_in_the_trail(tenant: Tenant, world: World, passport: Passport):
    run = Run(tenant)
    given = run.ask(passport, "sigstore")
    with pytest.raises(Forbidden):
        run.ask(passport, ISSUER)
    with world.database.read() as tx:
        rows = tx.execute(select(audit_events).where(audit_events.c.action.like("identity_token.%"))).all()
    found = {row.action: row.detail for row in rows}
    assert found["identity_token.minted"]["jti"] == given["jti"]
    assert found["identity_token.minted"]["purpose"] == "on-demand"
    assert "no audience" in found["identity_token.refused"]["reason"]


def test_all_tokens_of_a_run_count_together(tenant: Tenant, world: World, passport: Passport):
    run = Run(tenant)
    with world.database.write() as tx:
        tx.execute(update(run_leases).values(tokens_minted=MAX_TOKENS - 1))
    run.ask(passport)
    with pytest.raises(Conflict):
        run.ask(passport)


def test_there_is_no_token_if_the_trail_cannot_be_written(tenant: Tenant, world: World, passport: Passport):
    run = Run(tenant)
    with world.database.write() as tx:
        tx.execute(text("ALTER TABLE audit_events RENAME TO out_of_reach"))
    try:
        with pytest.raises((RunpassError, ProgrammingError)):
            run.ask(passport)
        with world.database.read() as tx:
            assert tx.execute(select(run_leases.c.tokens_minted)).scalar_one() == 0
    finally:
        with world.database.write() as tx:
            tx.execute(text("ALTER TABLE out_of_reach RENAME TO audit_events"))
