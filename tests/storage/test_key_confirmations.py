"""A new key and the Vaults that are to have it: several servers, fetches that come to any of them, limits, names."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from factories import Tenant, World
from key_scene import POLICY, SECOND, actions, states
from runpass.errors import Conflict, InvalidInput, NotFound
from runpass.ids import VaultTaskId
from runpass.protocol.credentials import CredentialKind
from runpass.protocol.credentials.aws import AwsOidc
from runpass.protocol.key_checks import KeyCheck, KeyCheckReport, Refetched
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.key_checks import key_checks
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.key_life import want_rotation
from runpass.server.issuer.keys import SHARED, KeyRecord, KeyState
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.rings import Rings, open_rings
from runpass.server.runners.model import Runner
from runpass.server.vault_tasks import verifiers
from runpass.server.vault_tasks.confirmations import (
    PUBLISHED_EVERYWHERE,
    ConfirmationKeeper,
    Confirmations,
    confirmations,
)
from runpass.server.vault_tasks.connection_tests import TestRules
from runpass.server.vault_tasks.key_check_model import FIRST_PAUSE
from runpass.server.vault_tasks.key_checks import finish_key_check, take_key_check
from runpass.server.vault_tasks.sightings import Sightings

ISSUER = "https://id.example.com/"
LIMIT = timedelta(hours=1)


@dataclass
class Server:
    """A server process, as far as it looks after keys."""

    world: World
    rings: Rings = field(init=False)
    sightings: Sightings = field(init=False)
    keeper: ConfirmationKeeper = field(init=False)
    limit: timedelta = LIMIT

    def __post_init__(self) -> None:
        world, policy = self.world, POLICY
        self.rings = open_rings(world.database, world.cipher, world.clock, policy, Confirmations(self.limit))
        self.sightings = Sightings(world.database, world.clock)
        self.keeper = ConfirmationKeeper(world.database, world.clock, self.rings, self.sightings)

    def tend(self) -> None:
        self.rings.tend()
        self.keeper.tend()

    @property
    def kids(self) -> frozenset[str]:
        return frozenset(key.kid for key in self.rings.shared.current.keys)

    @property
    def rules(self) -> TestRules:
        world = self.world
        minter = Minter(self.rings.shared, ISSUER, world.clock)
        jwks_url = f"{ISSUER}.well-known/jwks.json"
        return TestRules(
            world.database, world.cipher, world.clock, minter, ISSUER[:-1], IssuerAddresses(ISSUER, jwks_url)
        )


@pytest.fixture
def server(world: World) -> Server:
    return Server(world)


def own_url(tenant: Tenant, credential: StoredCredential) -> str:
    with tenant.world.database.write() as tx:
        return verifiers.give(tx, credential, tenant.admin, tenant.world.clock.now()).name


def publish(server: Server) -> KeyRecord:
    """Ask for a new key and publish it on every server; give it."""
    world = server.world
    world.clock.advance(SECOND)
    want_rotation(world.database, world.clock, SHARED, "operator:test")
    for _ in range(3):
        server.rings.tend()
    world.clock.advance(PUBLISHED_EVERYWHERE)
    server.tend()
    return next(key for key in server.rings.shared.current.keys if key.state is KeyState.UPCOMING)


def answer(server: Server, runner: Runner, check: KeyCheck, refetched: Refetched = Refetched.FETCHED) -> None:
    report = KeyCheckReport(reached=True, refetched=refetched, said="words")
    finish_key_check(server.rules, runner, VaultTaskId(check.task_id), check.task_secret, report)


def taken(server: Server, runner: Runner) -> KeyCheck:
    check = take_key_check(server.rules, runner)
    assert check is not None
    return check


def standings(world: World, key: KeyRecord) -> dict[str, tuple[str, str]]:
    with world.database.read() as tx:
        found = confirmations(tx, key.kid, world.clock.now())
    return {item.vault.place.mount: (item.standing.value, item.why) for item in found}


def checks(world: World) -> list[Any]:
    with world.database.read() as tx:
        return list(tx.execute(select(key_checks).order_by(key_checks.c.id)))


def test_a_vault_with_a_url_of_its_own_confirms_a_key_at_any_server_and_one_on_the_shared_url_never_does(
    tenant: Tenant, world: World, server: Server
):
    name = own_url(tenant, tenant.credential(jwtAuthBackendPath="own"))
    tenant.credential(jwtAuthBackendPath="shared")
    runner, other = tenant.runner(), Server(world)
    key = publish(server)
    assert key.confirmation_awaited
    other.tend()
    assert len(checks(world)) == 2  # both servers looked, and each Vault is checked once
    for _ in range(2):
        check = taken(server, runner)
        if check.grant.value.jwt_auth_backend_path == "own":
            other.sightings.saw(name, other.kids)  # the fetch came to another process than the check
        answer(server, runner, check)
    assert standings(world, key)["own"] == (
        "not-confirmed",
        (
            "it fetched a key set, and not from its own URL when it was checked last: run `runpass vault apply`,"
            " unless that was done since"
        ),
    )
    other.keeper.tend()
    assert standings(world, key) == {
        "own": ("seen", ""),
        "shared": ("unknown", "it has no key set URL of its own"),
    }
    server.tend()
    assert states(server.rings) == ["active", "upcoming"]
    world.clock.advance(POLICY.publish_ahead - PUBLISHED_EVERYWHERE)
    server.rings.tend()
    assert states(server.rings) == ["retiring", "active"]
    assert ("signing_key.confirmed", "system") in actions(world)
    detail = activation(world)
    assert detail == {}


def activation(world: World) -> dict[str, str]:
    query = select(audit_events.c.detail).where(audit_events.c.action == "signing_key.activated")
    with world.database.read() as tx:
        return dict(tx.execute(query.order_by(audit_events.c.seq.desc()).limit(1)).scalar_one())


def test_a_vault_that_confirms_nothing_delays_a_rotation_to_the_limit_and_is_then_named(
    tenant: Tenant, world: World, server: Server
):
    own_url(tenant, tenant.credential(jwtAuthBackendPath="silent"))
    runner = tenant.runner()
    key = publish(server)
    answer(server, runner, taken(server, runner), Refetched.FETCH_FAILED)
    server.keeper.tend()
    assert take_key_check(server.rules, runner) is None
    world.clock.advance(FIRST_PAUSE)
    server.keeper.tend()
    answer(server, runner, taken(server, runner), Refetched.FETCH_FAILED)  # it is tried again
    assert key.published_at is not None
    world.clock.advance(key.published_at + LIMIT - SECOND - world.clock.now())
    server.rings.tend()
    assert states(server.rings) == ["active", "upcoming"]
    world.clock.advance(SECOND)
    server.rings.tend()
    assert states(server.rings) == ["retiring", "active"]
    said = activation(world)["notConfirmed"]
    assert f"auth/silent of organization {tenant.id}: it could not fetch the key set" in said
    assert standings(world, key)["silent"][0] == "not-confirmed"


def test_without_a_runner_the_check_is_taken_by_nobody_and_that_is_said(tenant: Tenant, world: World, server: Server):
    own_url(tenant, tenant.credential())
    key = publish(server)
    assert standings(world, key)["jwt"] == ("not-confirmed", "no runner took the check")
    world.clock.advance(LIMIT)
    server.rings.tend()
    assert activation(world)["notConfirmed"].endswith("no runner took the check")


def test_where_no_vault_has_a_url_of_its_own_nothing_waits_and_each_is_checked_once(
    tenant: Tenant, world: World, server: Server
):
    tenant.credential()
    runner = tenant.runner()
    key = publish(server)
    assert not key.confirmation_awaited
    answer(server, runner, taken(server, runner), Refetched.NOT_READ)
    world.clock.advance(FIRST_PAUSE)
    for _ in range(2):
        server.keeper.tend()
    assert take_key_check(server.rules, runner) is None
    world.clock.advance(POLICY.publish_ahead - FIRST_PAUSE - PUBLISHED_EVERYWHERE)
    server.rings.tend()
    assert states(server.rings) == ["retiring", "active"]
    assert activation(world) == {}


def test_a_limit_of_nothing_checks_no_vault_and_waits_for_none(tenant: Tenant, world: World):
    own_url(tenant, tenant.credential())
    world_policy = Server(world, limit=timedelta(0))
    assert not publish(world_policy).confirmation_awaited


def test_no_rotation_of_the_shared_keys_waits_for_vaults_that_trust_an_organizations_own_issuer(
    tenant: Tenant, world: World, server: Server
):
    own_url(tenant, tenant.credential())
    tenant.set_organization(policies={"identity_issuer": "own"})
    key = publish(server)
    assert not key.confirmation_awaited
    assert standings(world, key) == {}
    with pytest.raises(Conflict):
        own_url(tenant, tenant.credential(jwtAuthBackendPath="second"))


def test_a_fetch_counts_only_while_a_check_of_that_vault_goes_on_and_with_the_key_in_it(
    tenant: Tenant, world: World, server: Server
):
    name = own_url(tenant, tenant.credential())
    runner = tenant.runner()
    key = publish(server)
    server.sightings.saw(name, server.kids)  # nobody has taken the check yet
    world.clock.advance(timedelta(seconds=5))
    server.sightings.keep()
    check = taken(server, runner)
    server.sightings.saw(name, server.kids - {key.kid})  # from a server that lags
    server.sightings.saw(secrets.token_urlsafe(24), server.kids)
    server.sightings.keep()
    answer(server, runner, check)
    world.clock.advance(timedelta(seconds=5))
    server.sightings.saw(name, server.kids)  # it is over
    server.sightings.keep()
    assert [row.seen_at for row in checks(world)] == [None]
    assert standings(world, key)["jwt"][0] == "not-confirmed"


def test_fetches_at_made_up_names_cost_no_query_but_one_and_memory_up_to_a_bound(world: World, server: Server):
    small = Sightings(world.database, world.clock, most=3)
    for _ in range(10):
        small.saw(secrets.token_urlsafe(24), server.kids)
    assert len(small._noted) == 3  # noqa: SLF001 -- the bound is what this is about
    small.keep()
    assert small._noted == {}  # noqa: SLF001


def test_servers_that_look_at_the_same_moment_check_each_vault_once(tenant: Tenant, world: World, server: Server):
    for number in range(5):
        own_url(tenant, tenant.credential(jwtAuthBackendPath=f"mount-{number}"))
    servers = [server, *(Server(world) for _ in range(3))]
    want_rotation(world.database, world.clock, SHARED, "operator:test")
    for _ in range(3):
        server.rings.tend()
    for one in servers:
        one.rings.refresh()
    world.clock.advance(PUBLISHED_EVERYWHERE)
    together = threading.Barrier(len(servers))

    def look(one: Server) -> None:
        together.wait()
        one.keeper.tend()

    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(look, servers))
    assert len(checks(world)) == 5


def test_two_credentials_of_one_auth_mount_have_one_url_and_two_organizations_have_two(tenant: Tenant, world: World):
    one, other = tenant.credential(name="one"), tenant.credential(name="other", roleName="plan")
    stranger = world.tenant("stranger")
    assert own_url(tenant, one) == own_url(tenant, other)
    assert own_url(stranger, stranger.credential()) != own_url(tenant, one)
    with world.database.write() as tx:
        verifiers.take_back(tx, other, tenant.admin, world.clock.now())
        with pytest.raises(NotFound):
            verifiers.find(tx, one)
    events = select(audit_events.c.action).where(audit_events.c.subject_id.in_([str(one.id), str(other.id)]))
    with world.database.read() as tx:
        assert sorted(tx.execute(events).scalars()) == ["jwks_url.created", "jwks_url.deleted"]


def test_an_organization_has_so_many_urls_and_not_more(tenant: Tenant, world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verifiers, "MOST", 1)
    own_url(tenant, tenant.credential())
    with pytest.raises(Conflict):
        own_url(tenant, tenant.credential(jwtAuthBackendPath="second"))
    aws = AwsOidc.model_validate({"roleArn": "arn:aws:iam::123456789012:role/x", "duration": 3600})
    with pytest.raises(InvalidInput):
        own_url(tenant, tenant.credential_of(aws, CredentialKind.AWS_OIDC))
