"""The surface of a running server: its routes, and two tenants with one of everything.

The requests stand in `surface_asks`.
"""

import base64
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.testclient import TestClient

from console import new_person
from factories import Tenant, World, holder
from runpass.ids import RunLeaseId, VaultLoginId
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.protocol.vault_logins import GivenToken
from runpass.secret import Secret
from runpass.server.access import session_store
from runpass.server.access.api_keys import KeyRequest, NewApiKey, actor_of, create_api_key
from runpass.server.access.bearers import digest, new_bearer
from runpass.server.access.people import person_actor
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.access.sessions import start_session, start_session_of
from runpass.server.credentials.model import StoredCredential
from runpass.server.deployments import changing, lease_store, login_store, vault_logins
from runpass.server.deployments import store as deployment_store
from runpass.server.deployments.model import Deployment, DeployRequest, Lease
from runpass.server.deployments.run_leases import finish, take
from runpass.server.issuer.minting import Minted
from runpass.server.opening import Parts
from runpass.server.relying_parties.registering import NewRelyingParty, register
from runpass.server.runners.joining import Joined
from runpass.server.runners.model import Runner
from runpass.server.tenancy.model import Environment
from runpass.server.variables.model import VariableScope
from runpass.server.vault_tasks import key_check_store, verifiers
from runpass.server.vault_tasks import store as task_store
from runpass.server.vault_tasks.key_checks import want_key_checks
from runpass.server.vault_tasks.known_vaults import known_vaults


def routes(app: Starlette) -> list[str]:
    """Give `METHOD /path` of every route of the running application, mounted ones included."""
    return sorted(_walk(app.routes, ""))


def _walk(found: list[BaseRoute], prefix: str) -> Iterator[str]:
    for route in iter_route_contexts(found):
        inner = route.original_route
        if isinstance(inner, Mount):
            yield from _walk(inner.app.routes, prefix + inner.path)
        else:
            for method in (route.methods or set()) - {"HEAD"}:
                yield f"{method} {prefix}{route.path}"


def basic(key: NewApiKey) -> dict[str, str]:
    return basic_of(key.key.api_key_id, key.secret.reveal())


def basic_of(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(secret: Secret) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret.reveal()}"}


@dataclass(frozen=True)
class Things:
    """A tenant with one of everything: ids by name, and those who may call."""

    tenant: Tenant
    ids: Mapping[str, UUID]
    callers: Mapping[str, NewApiKey]
    runner: Joined
    join_token: Secret
    lease: RunLease
    task_secret: Secret
    relying_party: NewRelyingParty


def _login(tenant: Tenant, lease: Lease, credential: StoredCredential, accessor: str) -> VaultLoginId:
    """Count a login of a lease, which gave a token."""
    now, cipher = tenant.world.clock.now(), tenant.world.cipher
    with tenant.world.database.write() as tx:
        deployment = deployment_store.get_deployment(tx, tenant.id, lease.deployment_id)
        assert deployment is not None
        minted = Minted(Secret("a.b.c"), "jti", "kid", "audience", now, "{}")
        login = vault_logins.intend(tx, lease, deployment, (credential, minted), now=now)
        given = GivenToken(accessor=Secret(accessor), ttl_seconds=3_600)
        vault_logins.keep_report(tx, cipher, lease, login, given, now=now)
    return login


def _lease(tenant: Tenant, lease: RunLease) -> Lease:
    with tenant.world.database.read() as tx:
        found = lease_store.get_lease(tx, RunLeaseId(lease.lease_id))
    assert found is not None
    return found


def _left_behind(tenant: Tenant, lease: Lease, credential: StoredCredential, runner: Runner, secret: Secret) -> UUID:
    """A login whose run is over, and whose token the runner is sweeping."""
    world, login = tenant.world, _login(tenant, lease, credential, "accessor-of-a-token-left-behind")
    now = world.clock.now()
    with world.database.write() as tx:
        vault_logins.end_logins(tx, world.cipher, lease, None, now)
        among, to = (runner.pool_id, None), (runner.id, digest(secret))
        taken = login_store.take_sweep(tx, among, now, lambda _: now + timedelta(hours=1), to)
    assert taken is not None
    return login


def furnish(world: World, name: str, canary: str) -> Things:
    """Make a tenant with one of everything; its sensitive values contain the canary."""
    tenant = world.tenant(name)
    parent = tenant.project("parent")
    project = tenant.project("project", parent)
    home = tenant.project("home", parent)
    template, detachable = tenant.template(project, home), tenant.template(project, name="detachable")
    environment, busy, other = (
        tenant.environment(project, template, item) for item in ("environment", "busy", "other")
    )
    credential, assigned = tenant.credential(), tenant.credential(name="assigned")
    tenant.assign(assigned, project)
    places = {
        VariableScope.GLOBAL: tenant.id,
        VariableScope.BLUEPRINT: template.id,
        VariableScope.PROJECT: project.id,
        VariableScope.ENVIRONMENT: environment.id,
    }
    variables = {
        scope: tenant.variable(scope, place, "SENSITIVE", f"{canary}-{scope.value}", is_sensitive=True)
        for scope, place in places.items()
    }
    runner = tenant.join(Isolation.UID, capacity=2)
    waiting = _planned(tenant, tenant.environment(project, template, "reviewed"))
    taken_test, task_secret = tenant.connection_test(assigned, project), new_bearer("rpt")
    with world.database.write() as tx:
        mine = (runner.runner.pool_id, None)
        assert task_store.take_next(tx, mine, runner.runner.id, digest(task_secret), world.clock.now()) is not None
        verifiers.give(tx, credential, tenant.admin, world.clock.now())
        mine = [vault for vault in known_vaults(tx) if vault.organization_id == tenant.id]
        (taken_check,) = want_key_checks(tx, mine, world.clock.now(), about_kid="kid")
        assert key_check_store.take_next(tx, runner.runner, digest(task_secret), world.clock.now()) is not None
    running = tenant.queue(busy)
    lease = take(world.rules, runner.runner)
    assert lease is not None
    with world.database.write() as tx:  # on a slow machine, the keeper would else end the run among the requests
        lease_store.extend_lease(
            tx, RunLeaseId(lease.lease_id), world.clock.now() + timedelta(days=1), world.clock.now()
        )
    queued = tenant.queue(environment, DeployRequest())
    held = _lease(tenant, lease)
    left_behind = _left_behind(tenant, held, assigned, runner.runner, task_secret)
    with world.database.write() as tx:
        audiences = ("https://sts.example.com",)
        party, other_party = (
            register(tx, tenant.id, item, audiences, by=tenant.admin, clock=world.clock) for item in ("one", "other")
        )
    callers = {
        "Admin": key_of(tenant, OrganizationRole.ADMIN),
        "User": key_of(tenant, OrganizationRole.USER),
        **{f"project {role.value}": key_of(tenant, OrganizationRole.USER, parent.id, role) for role in ProjectRole},
    }
    person, session_of_person = _person(world, tenant)
    ids = {
        "organization": tenant.id,
        "person": person,
        "session of the person": session_of_person,
        "parent": parent.id,
        "project": project.id,
        "home": home.id,
        "empty project": tenant.project("empty", parent).id,
        "template": template.id,
        "detachable": detachable.id,
        "environment": environment.id,
        "other environment": other.id,
        "credential": credential.id,
        "assigned": assigned.id,
        **{f"{scope.value} variable": variable.id for scope, variable in variables.items()},
        "key": key_of(tenant, OrganizationRole.USER).key.id,
        "session": _session(world, callers["Admin"]),
        "relying party": other_party.party.id,
        "runner": tenant.join().runner.id,
        "running": running.id,
        "queued": queued.id,
        "waiting": waiting.id,
        "ended": _cancelled(tenant, tenant.environment(project, template, "never deployed")),
        "lease": lease.lease_id,
        "login": _login(tenant, held, assigned, "accessor-of-a-token-in-use"),
        "left behind": left_behind,
        "taken test": taken_test.id,
        "taken check": taken_check,
        "queued test": tenant.connection_test(assigned, project, "kv/app.password").id,
    }
    return Things(tenant, ids, callers, runner, tenant.join_token(uses=1000), lease, task_secret, party)


def _session(world: World, key: NewApiKey) -> UUID:
    """Sign an API key in to the console; give the session's id."""
    now = world.clock.now()
    with world.database.write() as tx:
        start_session(tx, actor_of(key.key), now)
        return session_store.list_sessions(tx, actor_of(key.key), now)[0].id


def _person(world: World, tenant: Tenant) -> tuple[UUID, UUID]:
    """Have somebody join and sign in; give the person's id and the session's."""
    person = new_person(world, tenant.id, f"ann-{tenant.id}", OrganizationRole.USER)
    now = world.clock.now()
    with world.database.write() as tx:
        start_session_of(tx, person, "", now)
        return person.id, session_store.list_sessions(tx, person_actor(person), now)[0].id


def _planned(tenant: Tenant, environment: Environment) -> Deployment:
    """Give a deployment whose plan waits for an approval, in a pool of its own."""
    rules, runner = tenant.world.rules, tenant.runner(pool="reviewed")
    queued = tenant.queue(environment, DeployRequest(requires_approval=True, pool="reviewed"))
    lease = take(rules, runner)
    assert lease is not None
    finish(rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS))
    return queued


def _cancelled(tenant: Tenant, environment: Environment) -> UUID:
    """Give a deployment that has ended."""
    queued = tenant.queue(environment)
    with tenant.world.database.write() as tx:
        changing.cancel_waiting(tx, environment.id, by="test", now=tenant.world.clock.now())
    return queued.id


def key_of(tenant: Tenant, role: OrganizationRole, project: Any = None, on_it: ProjectRole | None = None) -> NewApiKey:
    roles = {project: on_it} if project and on_it else {}
    with tenant.world.database.write() as tx:
        wanted = KeyRequest(tenant.id, "key", role, roles)
        return create_api_key(tx, wanted, by="test", clock=tenant.world.clock)


class Server:
    """A running application, two furnished tenants, and a way back to how everything was."""

    def __init__(self, app: Starlette, client: TestClient, parts: Parts, ours: Things, theirs: Things) -> None:
        self.app, self.client, self.parts = app, client, parts
        self.ours, self.theirs = ours, theirs
        self._file = parts.settings.database_url.removeprefix("sqlite:///")
        self._kept = sqlite3.connect(":memory:")
        self._copy(self._file, self._kept)

    def restore(self) -> None:
        """Undo whatever requests have done to the database since the beginning."""
        with self.parts.database._turn:  # noqa: SLF001 -- the server's own work waits for it, as it does for a writer
            live = sqlite3.connect(self._file)
            self._kept.backup(live)
            live.close()

    def close(self) -> None:
        self._kept.close()

    @staticmethod
    def _copy(file: str, target: sqlite3.Connection) -> None:
        live = sqlite3.connect(file)
        live.backup(target)
        live.close()
