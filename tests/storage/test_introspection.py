"""Relying parties ask whether a token's run is still on: who is told, of which tokens, and for how long."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from sqlalchemy import update
from starlette.applications import Starlette
from starlette.testclient import TestClient

from factories import LEASE, Tenant, World
from key_scene import POLICY, rotate, start_rings
from management_api import ManagementApi
from runpass.protocol.identity import ForCredential, ForJob
from runpass.secret import Secret
from runpass.server.db.schema.credentials import credentials
from runpass.server.db.schema.deployments import deployments, run_leases
from runpass.server.db.schema.runners import runners
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.http.errors import HANDLERS
from runpass.server.http.limiting import ALL_PATHS, Limits
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.own_issuers import OwnMinters
from runpass.server.issuer.rings import Rings
from runpass.server.relying_parties.client import authenticate
from runpass.server.relying_parties.door import INACTIVE, IntrospectionDoor
from runpass.server.relying_parties.introspection import Introspection
from runpass.server.relying_parties.registering import NewRelyingParty, register, remove
from runpass.server.relying_parties.share import PartyShare
from surface_scene import basic_of
from vault_run import ISSUER, Run

ELSEWHERE = "https://sts.example.com"
LIMITS = Limits(5, 60.0, 60)
ADDRESSES = IssuerAddresses(ISSUER, f"{ISSUER}.well-known/jwks.json")


@pytest.fixture
def rings(world: World) -> Rings:
    return start_rings(world)


@pytest.fixture
def run(world: World, tenant: Tenant, rings: Rings) -> Run:
    """A run whose tokens are made with the server's keys."""
    found = Run(world, tenant)
    minters = OwnMinters(rings, ADDRESSES, world.clock)
    found.passport._minter = Minter(rings.shared, ISSUER, world.clock, minters.of)  # noqa: SLF001 -- real keys
    return found


@pytest.fixture
def client(world: World, rings: Rings) -> Iterator[TestClient]:
    share = PartyShare(world.clock, LIMITS)
    door = IntrospectionDoor(Introspection(world.database, world.clock, rings, ADDRESSES, ISSUER[:-1], share))
    with TestClient(Starlette(routes=door.routes(), exception_handlers=HANDLERS)) as found:
        yield found


@pytest.fixture
def party(tenant: Tenant) -> NewRelyingParty:
    return registered(tenant, ELSEWHERE)


def registered(tenant: Tenant, *audiences: str) -> NewRelyingParty:
    with tenant.world.database.write() as tx:
        return register(tx, tenant.id, "sts", audiences, by=tenant.admin, clock=tenant.world.clock)


def on_demand(run: Run, audience: str = ELSEWHERE) -> str:
    bearer = run.lease.id_token_request_token
    assert bearer is not None
    return run.passport.issue_on_demand(run.holder.lease_id, bearer, [audience]).token.reveal()


def ask(client: TestClient, party: NewRelyingParty, token: str) -> dict[str, Any]:
    answer = client.post("/introspect", data={"token": token}, headers=as_client(party))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == INACTIVE or answer.json()["active"] is True
    return dict(answer.json())


def as_client(party: NewRelyingParty) -> dict[str, str]:
    return basic_of(str(party.party.id), party.secret.reveal())


def test_a_relying_party_has_a_share_of_its_own_wherever_it_asks_from(
    run: Run, client: TestClient, party: NewRelyingParty, tenant: Tenant, world: World
):
    token, other = on_demand(run), registered(tenant, ELSEWHERE)
    for _ in range(LIMITS.requests * ALL_PATHS):
        assert ask(client, party, token)["active"]
    refused = client.post("/introspect", data={"token": token}, headers=as_client(party))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert ask(client, other, token)["active"]
    world.clock.advance(timedelta(seconds=60))
    assert client.post("/introspect", data={"token": token}, headers=as_client(party)).status_code == 200


def test_a_token_of_a_run_that_goes_on_is_told_with_its_ids(run: Run, client: TestClient, party: NewRelyingParty):
    token = on_demand(run)
    claims = jwt.decode(token, options={"verify_signature": False})
    told = ask(client, party, token)
    ids = ("organizationId", "projectId", "environmentId", "templateId", "deploymentLogId", "runnerId")
    assert told == {"active": True} | {name: claims[name] for name in ("iss", "sub", "aud", "exp", "iat", "jti", *ids)}
    assert told["aud"] == ELSEWHERE


def test_a_login_token_counts_too_and_names_its_credential(run: Run, client: TestClient, tenant: Tenant):
    shared = registered(tenant, ISSUER[:-1])
    login = run.passport.issue(run.holder, ForCredential(credential_id=run.credential.id)).token.reveal()
    assert ask(client, shared, login)["credentialId"] == str(run.credential.id)
    job = run.passport.issue(run.holder, ForJob()).token.reveal()
    assert "credentialId" not in ask(client, shared, job)


ENDS: dict[str, Callable[[Run], object]] = {
    "finished": lambda run: run.finish(),
    "lost": lambda run: run.lose(),
    "past its deadline, and nobody has looked yet": lambda run: run.world.clock.advance(LEASE),
    "aborted": lambda run: change(run, update(deployments).values(status=DeploymentStatus.ABORTING.value)),
    "of a runner that is revoked": lambda run: change(run, update(runners).values(revoked_at=run.world.clock.now())),
}


def change(run: Run, statement: Any) -> None:
    with run.world.database.write() as tx:
        tx.execute(statement)


@pytest.mark.parametrize("end", ENDS)
def test_a_token_ends_with_its_run(end: str, run: Run, client: TestClient, party: NewRelyingParty):
    token = on_demand(run)
    assert ask(client, party, token)["active"]
    ENDS[end](run)
    assert ask(client, party, token) == {"active": False}


def test_a_token_ends_with_its_time_although_the_run_goes_on(
    run: Run, client: TestClient, party: NewRelyingParty, world: World
):
    token = on_demand(run)
    exp = jwt.decode(token, options={"verify_signature": False})["exp"]
    minutes = timedelta(seconds=exp - world.clock.now().timestamp())
    lease = {"expires_at": world.clock.now() + timedelta(days=1)}
    change(run, update(run_leases).values(**lease))
    world.clock.advance(minutes - timedelta(seconds=1))
    assert ask(client, party, token)["active"]
    world.clock.advance(timedelta(seconds=1))
    assert ask(client, party, token) == {"active": False}


def test_only_the_organization_and_the_audience_of_a_relying_party_are_told(
    run: Run, client: TestClient, party: NewRelyingParty, world: World, tenant: Tenant
):
    token = on_demand(run)
    assert ask(client, party, token)["active"]
    assert ask(client, party, on_demand(run, "https://other.example.com")) == {"active": False}
    assert ask(client, registered(tenant, f"{ELSEWHERE}/"), token) == {"active": False}
    assert ask(client, registered(world.tenant("globex"), ELSEWHERE), token) == {"active": False}


def test_a_token_that_was_never_recorded_does_not_count(
    run: Run, client: TestClient, party: NewRelyingParty, rings: Rings, tenant: Tenant
):
    """Signed by the right key with everything right: what a stolen key would make."""
    claims = WorkloadClaims(
        **{
            name: "x" for name in WorkloadClaims.__dataclass_fields__ if name not in {"api_key_type", "organization_id"}
        },
        organization_id=str(tenant.id),
    )
    minter, lifetime = Minter(rings.shared, ISSUER, run.world.clock), timedelta(minutes=5)
    forged = minter.mint(claims, subject=str(tenant.id), audience=ELSEWHERE, lifetime=lifetime).token.reveal()
    assert ask(client, party, forged) == {"active": False}
    sweeper = minter.mint_sweeper(tenant.id)
    assert ask(client, registered(tenant, sweeper.audience), sweeper.token.reveal()) == {"active": False}


def test_a_key_that_is_published_no_more_makes_no_token_count(
    run: Run, client: TestClient, party: NewRelyingParty, rings: Rings, world: World
):
    token = on_demand(run)
    rotate(world, rings)
    world.clock.advance(POLICY.stale_after + POLICY.longest_token + POLICY.cache_time)
    for _ in range(2):
        rings.tend()
    assert jwt.get_unverified_header(token)["kid"] not in {key.kid for key in rings.shared.current.keys}
    assert ask(client, party, token) == {"active": False}


def test_issuers_of_organizations(run: Run, client: TestClient, party: NewRelyingParty, rings: Rings, tenant: Tenant):
    tenant.set_organization(policies={"identity_issuer": "own"})
    token = on_demand(run)
    told = ask(client, party, token)
    assert told["iss"] == f"{ISSUER}o/{tenant.id}/"
    tenant.set_organization(policies={})
    assert ask(client, party, token)["active"]  # what is out still counts
    assert ask(client, party, on_demand(run))["iss"] == ISSUER
    globex = tenant.world.tenant("globex")
    jti = {"jti": told["jti"]}
    for ring, url in ((rings.ring_for(globex.id), told["iss"]), (rings.shared, told["iss"])):
        assert ask(client, party, resigned(token, ring.signing, iss=url, **jti)) == {"active": False}
    assert ask(client, party, resigned(token, rings.ring_for(tenant.id).signing, iss=ISSUER)) == {"active": False}


def resigned(token: str, key: Any, **changes: Any) -> str:
    """Give the token with other claims, signed with one of the server's own keys."""
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    header = {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}
    parts = [base64.urlsafe_b64encode(json.dumps(item).encode()).rstrip(b"=") for item in (header, claims)]
    signed = b".".join(parts)
    return (signed + b"." + base64.urlsafe_b64encode(key.sign(signed)).rstrip(b"=")).decode()


def test_a_claim_of_another_kind_does_not_count(run: Run, client: TestClient, party: NewRelyingParty, rings: Rings):
    token, key = on_demand(run), rings.shared.signing
    assert ask(client, party, resigned(token, key))["active"]
    for changes in (
        *({"exp": value} for value in (None, "9999999999", True, 1e300, -1)),
        {"aud": [ELSEWHERE]},
        {"jti": None},
        {"jti": ["x"]},
        {"sub": 7},
        {"iss": None},
        {"organizationId": None},
        {"iat": None},
    ):
        assert ask(client, party, resigned(token, key, **changes)) == {"active": False}, changes


OWN_IDS = ("projectId", "environmentId", "templateId", "deploymentLogId", "runnerId", "credentialId")


@pytest.mark.parametrize("kind", ["job", "login"])
def test_a_stolen_key_makes_nothing_of_a_jti_that_counts(
    kind: str, run: Run, client: TestClient, tenant: Tenant, rings: Rings
):
    """Everything is in the record but one claim, which says something else than what was minted."""
    party = registered(tenant, ISSUER[:-1], ELSEWHERE)
    purpose = ForJob() if kind == "job" else ForCredential(credential_id=run.credential.id)
    token = run.passport.issue(run.holder, purpose).token.reveal()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert ask(client, party, token)["active"]
    later = {"exp": claims["exp"] + 60} if kind == "job" else {"exp": claims["exp"] - 3600}
    wrong = {name: str(uuid4()) for name in OWN_IDS} | {"aud": ELSEWHERE, "sub": f"{tenant.id}:projectId:{uuid4()}"}
    for name, value in (wrong | later).items():
        forged = resigned(token, rings.shared.signing, **{name: value})
        assert ask(client, party, forged) == {"active": False}, name


def test_a_token_counts_although_the_template_of_its_subject_was_changed(
    run: Run, client: TestClient, party: NewRelyingParty, tenant: Tenant
):
    tenant.set_organization(policies={"identity_subject": ["organizationId", "projectId", "environmentId"]})
    token = on_demand(run)
    assert ask(client, party, token)["sub"].startswith(f"{tenant.id}:projectId:")
    tenant.set_organization(policies={})
    assert ask(client, party, token)["active"]


def test_a_login_token_of_a_credential_that_was_changed_counts_no_more(run: Run, client: TestClient, tenant: Tenant):
    party = registered(tenant, ISSUER[:-1])
    login = run.passport.issue(run.holder, ForCredential(credential_id=run.credential.id)).token.reveal()
    assert ask(client, party, login)["active"]
    change(run, update(credentials).values(value={**run.credential.value.clear, "tokenFormat": "credential"}))
    assert ask(client, party, login) == {"active": False}


def bodies(token: str) -> dict[str, tuple[str, bytes]]:
    form = "application/x-www-form-urlencoded"
    return {
        "nothing": (form, b""),
        "no token": (form, b"x=y"),
        "an empty token": (form, b"token="),
        "two tokens": (form, f"token={token}&token={token}".encode()),
        "JSON": ("application/json", json.dumps({"token": token}).encode()),
        "no type": ("", f"token={token}".encode()),
        "half an escape": (form, b"token=%"),
        "not UTF-8": (form, b"token=%ff\xff"),
        "huge": (form, b"token=" + b"a" * 100_000),
        "many fields": (form, b"&".join([b"a=b"] * 100) + f"&token={token}".encode()),
        "spaces": (form, f"token=+{token}+".encode()),
        "a part more": (form, f"token={token}.x".encode()),
        "no signature": (form, f"token={token.rpartition('.')[0]}.".encode()),
    }


@pytest.mark.parametrize("what", bodies("x"))
def test_every_body_without_a_token_that_counts_is_answered_the_same(
    what: str, run: Run, client: TestClient, party: NewRelyingParty
):
    kind, body = bodies(on_demand(run))[what]
    answer = client.post("/introspect", content=body, headers={**as_client(party), "Content-Type": kind})
    assert (answer.status_code, answer.content) == (200, INACTIVE)
    assert sorted(answer.headers) == ["cache-control", "content-length", "content-type"]


def test_a_hint_and_escapes_are_taken(run: Run, client: TestClient, party: NewRelyingParty):
    token = on_demand(run)
    data = {"token": token, "token_type_hint": "access_token"}
    assert client.post("/introspect", data=data, headers=as_client(party)).json()["active"]
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    escaped = "token=" + "".join(f"%{ord(letter):02X}" for letter in token)
    assert client.post("/introspect", content=escaped, headers={**as_client(party), **kind}).json()["active"]


def test_whoever_is_no_relying_party_is_told_nothing(
    run: Run, client: TestClient, party: NewRelyingParty, tenant: Tenant, world: World
):
    token, (identity, secret) = on_demand(run), (str(party.party.id), party.secret.reveal())
    other = registered(tenant, ELSEWHERE)
    wrong: list[dict[str, str]] = [
        {},
        basic_of(identity, ""),
        basic_of(identity, secret + "x"),
        basic_of(identity, other.secret.reveal()),
        basic_of(str(uuid4()), secret),
        basic_of("", secret),
        basic_of("x", secret),
        basic_of(tenant.api_key.api_key_id, tenant.api_secret.reveal()),
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": f"Bearer {token}"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic //79"},
    ]
    sentences = set()
    for headers in wrong:
        answer = client.post("/introspect", data={"token": token}, headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"].startswith("Basic ")
        sentences.add(answer.text)
    assert len(sentences) == 1
    with world.database.write() as tx:
        remove(tx, tenant.id, party.party.id, by=tenant.admin, clock=world.clock)
    assert client.post("/introspect", data={"token": token}, headers=as_client(party)).status_code == 401
    assert client.get("/introspect", headers=as_client(other)).status_code == 405


def test_a_relying_party_is_made_listed_and_deleted_by_an_admin(api: ManagementApi, tenant: Tenant, world: World):
    place = {"organizationId": str(tenant.id)}
    body = {"name": "sts", **place, "audiences": [ELSEWHERE, ELSEWHERE, "api://other"]}
    made = api.call("POST", "/relying-parties", body, status=201)
    assert made["audiences"] == [ELSEWHERE, "api://other"]
    listed = api.call("GET", f"/relying-parties?organizationId={tenant.id}")
    assert listed == [{name: value for name, value in made.items() if name != "secret"}]
    with world.database.read() as tx:
        assert authenticate(tx, basic_of(made["id"], made["secret"])["Authorization"]).name == "sts"
    for audiences in ([], ["a b"], ["x" * 256], [""], ["é"], ["x"] * 21):
        api.call("POST", "/relying-parties", body | {"audiences": audiences}, status=422)
    assert api.of(tenant, {}).answer("GET", f"/relying-parties?organizationId={tenant.id}", status=403)
    api.answer("DELETE", f"/relying-parties/{made['id']}", status=204)
    api.answer("DELETE", f"/relying-parties/{made['id']}", status=404)
    assert not Secret(made["secret"]).reveal().startswith(("rps_", "rpj_", "rpr_"))
