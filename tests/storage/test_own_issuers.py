"""Issuers of organizations: who gets keys, what anybody may ask, and what minting makes of the choice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

import jwt
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from factories import Tenant, World
from key_scene import POLICY, SECOND, start_rings
from management_api import ManagementApi
from runpass.errors import Unavailable
from runpass.protocol.identity import ForCredential
from runpass.server.db.engine import Database, Transaction
from runpass.server.db.schema.issuer import signing_key_changes, signing_keys
from runpass.server.http.errors import HANDLERS
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.ending import SETTLED
from runpass.server.issuer.key_life import KeyLife, end_all, want_rotation
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.own_issuers import OwnIssuerDocuments, OwnMinters
from runpass.server.issuer.rings import Rings, open_rings
from runpass.server.tenancy.store import with_issuer_wanted
from vault_run import ISSUER, Run

ADDRESSES = IssuerAddresses(ISSUER, f"{ISSUER}.well-known/jwks.json")


@pytest.fixture
def server(world: World) -> Callable[..., Rings]:
    """Start a server on the world's database."""
    return partial(start_rings, world)


@contextmanager
def documents_of(rings: Rings) -> Iterator[TestClient]:
    """Give a client of the documents that these rings are published in."""
    documents = OwnIssuerDocuments(rings, ADDRESSES, max_age_seconds=7)
    with TestClient(Starlette(routes=documents.routes(""), exception_handlers=HANDLERS)) as client:
        yield client


def kids(client: TestClient, organization: object) -> list[str]:
    answer = client.get(f"/o/{organization}/.well-known/jwks.json")
    assert answer.status_code == 200, answer.text
    return [key["kid"] for key in answer.json()["keys"]]


def count_keys(world: World) -> int:
    with world.database.read() as tx:
        return int(tx.execute(select(func.count()).select_from(signing_keys)).scalar_one())


class Counting(Database):
    """A database that counts how often it is asked, and can be cut off."""

    asked = 0
    cut_off = False

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        self.asked += 1
        if self.cut_off:
            raise Unavailable("cut off")
        with super().read() as tx:
            yield tx


def test_whoever_has_no_issuer_is_not_found_without_a_query_or_a_key(world: World):
    acme = world.tenant("acme").id
    database = Counting(world.database.engine)
    rings = Rings(KeyLife(database, world.cipher, world.clock, POLICY))
    rings.open()
    before, database.asked = count_keys(world), 0
    with documents_of(rings) as client:
        for organization in (acme, *(uuid4() for _ in range(50)), "x", "0" * 32, "../..", str(acme).upper()):
            for name in ("jwks.json", "openid-configuration"):
                answer = client.get(f"/o/{organization}/.well-known/{name}")
                assert answer.status_code == 404, organization
    assert (count_keys(world), database.asked) == (before, 0)


def test_an_id_that_is_spelled_otherwise_is_another_address(server, world: World):
    rings, acme = server(), world.tenant("acme").id
    rings.ring_for(acme)
    with documents_of(rings) as client:
        assert kids(client, acme)
        for other in (str(acme).upper(), acme.hex, f"{{{acme}}}", f"urn:uuid:{acme}"):
            assert client.get(f"/o/{other}/.well-known/jwks.json").status_code == 404


def test_the_documents_say_the_issuer_byte_for_byte_and_only_its_own_keys(server, world: World):
    rings, acme, globex = server(), world.tenant("acme").id, world.tenant("globex").id
    signing = {of: rings.ring_for(of).signing.kid for of in (acme, globex)}
    with documents_of(rings) as client:
        metadata = client.get(f"/o/{acme}/.well-known/openid-configuration").json()
        assert metadata["issuer"] == f"{ISSUER}o/{acme}/"
        assert metadata["jwks_uri"] == f"{ISSUER}o/{acme}/.well-known/jwks.json"
        assert kids(client, acme) == [signing[acme]]
        assert kids(client, globex) == [signing[globex]]
    assert [key.kid for key in rings.shared.current.keys] == [rings.shared.signing.kid]
    assert len({rings.shared.signing.kid, *signing.values()}) == 3


def test_documents_come_from_memory_and_are_withheld_when_they_may_be_wrong(world: World):
    database = Counting(world.database.engine)
    rings, acme = Rings(KeyLife(database, world.cipher, world.clock, POLICY)), world.tenant("acme").id
    rings.open()
    rings.ring_for(acme)
    with documents_of(rings) as client:
        first = kids(client, acme)
        asked, database.cut_off = database.asked, True
        assert [kids(client, acme) for _ in range(5)] == [first] * 5
        assert database.asked == asked
        world.clock.advance(POLICY.documents_stale_after + SECOND)
        assert client.get(f"/o/{acme}/.well-known/jwks.json").status_code == 503


def test_another_server_learns_of_a_new_issuer_with_its_next_look_and_a_new_one_at_its_start(server, world: World):
    one, other, acme = server(), server(), world.tenant("acme").id
    kid = one.ring_for(acme).signing.kid
    assert not other.has_issuer(acme)
    other.refresh()
    for rings in (other, server()):
        assert rings.has_issuer(acme)
        assert not rings.is_in_memory(acme)
        with documents_of(rings) as client:
            assert kids(client, acme) == [kid]


def test_memory_is_bounded_and_what_fell_out_is_read_again(server, world: World):
    first, tenants = server(), [world.tenant(f"tenant-{number}").id for number in range(5)]
    expected = {of: first.ring_for(of).signing.kid for of in tenants}
    small = Rings(KeyLife(world.database, world.cipher, world.clock, POLICY), most_in_memory=2)
    small.open()
    held = small.ring_for(tenants[0])
    with documents_of(small) as client:
        for _ in range(2):
            assert {of: kids(client, of)[0] for of in tenants} == expected
            assert sum(small.is_in_memory(of) for of in tenants) == 2
    assert held.signing.kid == expected[tenants[0]]
    assert small.shared.signing.kid == first.shared.signing.kid


def test_keys_of_issuers_that_nobody_asks_for_rotate_all_the_same(server, world: World):
    first, acme = server(), world.tenant("acme").id
    old = first.ring_for(acme).signing.kid
    rings = server()
    assert not rings.is_in_memory(acme)
    world.clock.advance(POLICY.rotate_every)
    for _ in range(3):
        rings.tend()
    world.clock.advance(POLICY.publish_ahead)
    for _ in range(3):
        rings.tend()
    assert not rings.is_in_memory(acme)
    assert [key.state.value for key in rings.ring_for(acme).current.keys] == ["retiring", "active"]
    assert rings.ring_for(acme).signing.kid != old


def test_a_rotation_that_is_asked_for_begins_with_the_next_look(server, world: World):
    server().ring_for(acme := world.tenant("acme").id)
    rings = server()
    for number in range(20):
        server().ring_for(world.tenant(f"tenant-{number}").id)
    rings.tend()
    world.clock.advance(SECOND)
    want_rotation(world.database, world.clock, acme, "operator:test")
    rings.tend()
    assert "upcoming" in [key.state.value for key in server().ring_for(acme).current.keys]


def test_a_restored_database_takes_an_issuer_away_again(server, world: World):
    rings, acme = server(), world.tenant("acme").id
    with world.database.read() as tx:
        kept = [tx.execute(table.select()).mappings().all() for table in (signing_keys, signing_key_changes)]
    rings.ring_for(acme)
    rings.refresh()
    with world.database.write() as tx:
        for table, rows in zip((signing_keys, signing_key_changes), kept, strict=True):
            tx.execute(table.delete())
            tx.execute(table.insert(), [dict(row) for row in rows])
    for _ in range(2):
        rings.tend()
    assert not rings.has_issuer(acme)
    assert count_keys(world) == 1
    with documents_of(rings) as client:
        assert client.get(f"/o/{acme}/.well-known/jwks.json").status_code == 404


def policies(api: ManagementApi, tenant: Tenant, choice: object, *, status: int = 200) -> dict[str, object]:
    body = {"identityIssuer": choice}
    return dict(api.call("POST", f"/organizations/{tenant.id}/policies", body, status=status))


def test_choosing_is_an_admins_and_publishes_before_it_counts(api: ManagementApi, tenant: Tenant, world: World):
    def told() -> dict[str, object]:
        return dict(api.call("GET", f"/organizations/{tenant.id}/issuer"))

    assert (told()["identityIssuer"], told()["own"]) == ("shared", None)
    assert count_keys(world) == 0
    policies(api.of(tenant, {}), tenant, "own", status=403)
    policies(api, tenant, "another", status=422)
    assert count_keys(world) == 0
    shared = told()["issuer"]
    assert policies(api, tenant, "prepared")["identityIssuer"] == "prepared"
    assert count_keys(world) == 1
    own = {"issuer": f"{shared}o/{tenant.id}/", "jwksUrl": f"{shared}o/{tenant.id}/.well-known/jwks.json"}
    assert (told()["issuer"], told()["own"]) == (shared, own)
    policies(api, tenant, "own")
    assert (told()["issuer"], told()["jwksUrl"]) == (own["issuer"], own["jwksUrl"])
    assert count_keys(world) == 1
    policies(api, tenant, "shared")
    assert (told()["issuer"], told()["own"]) == (shared, own)  # what is out must still log in


def test_the_operator_may_forbid_it_but_not_what_is_chosen_already(api: ManagementApi, tenant: Tenant):
    policies(api, tenant, "own")
    state = api.client.app.state  # type: ignore[attr-defined] -- that of Starlette
    state.settings = state.settings.model_copy(update={"organization_issuers": False})
    assert "organization_issuers" in str(policies(api, tenant, "prepared", status=403))
    assert api.call("GET", f"/organizations/{tenant.id}/issuer")["identityIssuer"] == "own"
    policies(api, tenant, "shared")


@pytest.mark.parametrize("choice", ["shared", "prepared", "own"])
def test_a_token_is_of_the_issuer_that_the_organization_chose(choice: str, server, tenant: Tenant, world: World):
    rings, run = server(), Run(world, tenant)
    minters = OwnMinters(rings, ADDRESSES, world.clock)
    run.passport._minter = Minter(rings.shared, ISSUER, world.clock, minters.of)  # noqa: SLF001 -- real keys
    tenant.set_organization(policies={"identity_issuer": choice})
    token = run.passport.issue(run.holder, ForCredential(credential_id=run.credential.id)).token.reveal()
    found = jwt.decode(token, options={"verify_signature": False})
    ring, url = (rings.ring_for(tenant.id), f"{ISSUER}o/{tenant.id}/") if choice == "own" else (rings.shared, ISSUER)
    assert (found["iss"], jwt.get_unverified_header(token)["kid"]) == (url, ring.signing.kid)
    assert found["aud"] == ISSUER[:-1]
    assert count_keys(world) == (2 if choice == "own" else 1)


def test_without_the_chosen_issuer_there_is_no_token_of_the_shared_one(tenant: Tenant, world: World):
    run = Run(world, tenant)  # whose minter knows the shared issuer alone
    tenant.set_organization(policies={"identity_issuer": "own"})
    with pytest.raises(Unavailable):
        run.passport.issue(run.holder, ForCredential(credential_id=run.credential.id))


def choosing(world: World) -> Rings:
    """Start a server that asks whether an organization wants its issuer, as real ones do."""
    return open_rings(world.database, world.cipher, world.clock, POLICY, chosen=with_issuer_wanted)


@pytest.mark.parametrize("is_in_memory", [True, False])
def test_the_keys_of_an_organization_that_went_back_end_once_the_last_token_has(
    world: World,
    tenant: Tenant,
    is_in_memory: bool,  # noqa: FBT001 -- pytest
):
    rings = choosing(world)
    rings.prepare(tenant.id)  # before the choice is stored
    rings.tend()
    (key,) = rings.ring_for(tenant.id).current.keys
    tenant.set_organization(policies={"identity_issuer": "own"})
    world.clock.advance(SETTLED)
    for _ in range(2):
        rings.tend()
    assert rings.ring_for(tenant.id).signing.kid == key.kid

    tenant.set_organization(policies={})
    if is_in_memory:
        rings.leave(tenant.id)
    else:
        rings = choosing(world)
        rings.tend()
    assert [item.state.value for item in rings.ring_for(tenant.id).current.keys] == ["retiring"]
    with pytest.raises(Unavailable, match="no active signing key"):
        _ = rings.ring_for(tenant.id).signing
    with documents_of(rings) as client:
        assert kids(client, tenant.id) == [key.kid], "tokens that are out still count"
        world.clock.advance(POLICY.stale_after + POLICY.longest_token + POLICY.cache_time)
        for _ in range(2):
            rings.tend()
        assert not rings.has_issuer(tenant.id)
        assert client.get(f"/o/{tenant.id}/.well-known/jwks.json").status_code == 404
    assert not choosing(world).has_issuer(tenant.id)
    assert rings.shared.signing
    with world.database.read() as tx:
        row = tx.execute(select(signing_keys).where(signing_keys.c.kid == key.kid)).one()
    assert (row.state, row.private_key_sealed) == ("gone", None)

    rings.prepare(tenant.id)
    assert rings.ring_for(tenant.id).signing.kid != key.kid
    assert rings.has_issuer(tenant.id)


def test_an_organization_whose_keys_are_all_gone_gets_one_again_while_it_wants_its_issuer(world: World, tenant: Tenant):
    rings = choosing(world)
    tenant.set_organization(policies={"identity_issuer": "prepared"})
    rings.prepare(tenant.id)
    with world.database.write() as tx:
        end_all(tx, world.clock.now(), "test")
    rings.tend()
    assert rings.has_issuer(tenant.id)
    with documents_of(choosing(world)) as client:
        assert len(kids(client, tenant.id)) == 1
