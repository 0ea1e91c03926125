"""A run with a credential whose logins at a Vault are kept account of, and what its runner says of them."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from factories import LEASE, Tenant, World, holder
from runpass.ids import VaultLoginId
from runpass.protocol.identity import ForCredential
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.protocol.sweeps import Sweep, SweepReport, SweepResult
from runpass.protocol.vault_logins import EndedLogin, GivenToken, LoginEnd, LoginReport
from runpass.secret import Secret
from runpass.server.db.schema.audit import audit_events
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.identity import Passport
from runpass.server.deployments.outstanding import Outstanding, outstanding
from runpass.server.deployments.run_leases import end_expired, finish, save_login, take
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.runners.model import Runner
from runpass.server.vault_tasks.connection_tests import TestRules
from runpass.server.vault_tasks.sweeps import finish_sweep, take_sweep

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
        self.rules = TestRules(*parts, minter, ISSUER[:-1], IssuerAddresses(ISSUER, f"{ISSUER}.well-known/jwks.json"))
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


def gone(login: VaultLoginId, end: LoginEnd = LoginEnd.REVOKED, given: GivenToken | None = GIVEN) -> EndedLogin:
    return EndedLogin(login_id=login, end=end, given=given)
