"""People whom an OpenID Connect provider vouches for, and what the tokens of their runs say."""

from datetime import timedelta
from typing import Any

import jwt

from factories import Tenant, holder
from runpass.protocol.identity import ForJob
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.access.people import person_actor
from runpass.server.access.permissions import OrganizationRole
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.identity import Passport
from runpass.server.deployments.run_leases import take
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.openid.accounts import account_of
from runpass.server.openid.id_tokens import Proved
from runpass.server.openid.roles import Granted

ISSUER = "https://id.example.com/"


def claims(token: Secret) -> dict[str, Any]:
    return jwt.decode(token.reveal(), options={"verify_signature": False, "verify_exp": False})


def person_of_provider(tenant: Tenant, email: str | None, subject: str = "ann") -> Actor:
    """Sign somebody in as a provider says; give who that is here."""
    proved = Proved("https://provider.example.com", subject, "Ann", frozenset(), email)
    with tenant.world.database.write() as tx:
        granted = Granted(tenant.id, OrganizationRole.ADMIN, {})
        person = account_of(tx, proved, granted, tenant.world.clock.now())
    assert person is not None
    return person_actor(person)


def claims_of_run(tenant: Tenant, starter: Actor) -> dict[str, Any]:
    """Give the claims of the job's token of a deployment that somebody starts."""
    world = tenant.world
    project = tenant.project("of a person")
    tenant.assign(tenant.credential(), project)
    tenant.queue(tenant.environment(project, tenant.template(project)), by=starter)
    runner = tenant.runner()
    lease = take(world.rules, runner)
    assert lease is not None
    minter = Minter(KeyRing((new_key(world.clock.now()),)), ISSUER, world.clock)
    own = OwnAudiences(ISSUER[:-1], (ISSUER,))
    passport = Passport(world.rules, minter, own=own, lifetime=timedelta(minutes=5))
    return claims(passport.issue(holder(runner, lease), ForJob()).token)
