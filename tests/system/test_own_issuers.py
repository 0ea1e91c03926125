"""An organization's own issuer in front of a real OpenBao: what logs in, what is refused, and changing over."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from cli_scene import Shell
from programs import Founded, RunningServer, running_server, wait_until
from runpass.cli import exits
from runpass.clock import SYSTEM_CLOCK
from runpass.ids import OrganizationId
from runpass.secret import Secret
from runpass.server.issuer.addresses import addresses_of
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.own_issuers import OwnMinters
from runpass.server.opening import Parts, open_parts
from runpass.server.settings import load_settings
from runpass.server.tenancy.store import get_organization
from runpass.vault.client import VaultClient
from runpass.vault.login import jwt_login
from runpass.vault.refusals import Refusal

ROLE = "run"
FACTS = {name: "x" for name in WorkloadClaims.__dataclass_fields__ if name not in {"api_key_type", "organization_id"}}


@dataclass(frozen=True)
class Place:
    """A server with three organizations: two have issuers of their own, the third has none."""

    server: RunningServer
    parts: Parts
    minter: Minter
    acme: Founded
    globex: Founded
    initech: Founded

    def token(self, of: Founded, minter: Minter | None = None) -> Secret:
        """Give a token as the server mints one for this organization now, or with another minter."""
        organization_id = OrganizationId(UUID(of.organization_id))
        with self.parts.database.read() as tx:
            organization = get_organization(tx, organization_id)
        assert organization is not None
        chosen = minter or self.minter.of(organization.issuer)
        claims = WorkloadClaims(**FACTS, organization_id=str(organization_id))
        audience = self.parts.settings.audience
        return chosen.mint(
            claims, subject=organization.oidc_sub, audience=audience, lifetime=timedelta(minutes=5)
        ).token

    def url(self, of: Founded) -> str:
        return f"{self.server.url}/o/{of.organization_id}/"

    def choose(self, of: Founded, choice: str) -> None:
        Shell(self.server, of).run("organization", "policy", "--identity-issuer", choice)

    def kids(self, path: str) -> set[str]:
        answer = httpx2.get(f"{self.server.url}{path}/.well-known/jwks.json", trust_env=False)
        return {key["kid"] for key in answer.json()["keys"]} if answer.status_code == 200 else set()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_server(tmp_path_factory.mktemp("own"), signing_algorithm="ES256") as server:
        acme, globex, initech = (server.found(name) for name in ("acme", "globex", "initech"))
        parts = open_parts(load_settings(environment=server.environment).settings)
        addresses = addresses_of(parts.settings)
        minters = OwnMinters(parts.rings, addresses, SYSTEM_CLOCK)
        minter = Minter(parts.rings.shared, addresses.shared_url, SYSTEM_CLOCK, minters.of)
        found = Place(server, parts, minter, acme, globex, initech)
        for organization in (acme, globex):
            found.choose(organization, "own")
        yield found
        parts.close()


@pytest.fixture
def configured(vault_root: VaultClient, jwt_mount: str, place: Place) -> Callable[..., str]:
    """Write the auth method's config, and a role that lets everything in that gets so far."""

    def write(**config: object) -> str:
        vault_root.write(f"auth/{jwt_mount}/config", config)
        role = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [place.parts.settings.audience]}
        vault_root.write(f"auth/{jwt_mount}/role/{ROLE}", {**role, "token_type": "batch"})
        return jwt_mount

    return write


def refused(vault: VaultClient, mount: str, token: Secret) -> str:
    with pytest.raises(Refusal) as refusal:
        jwt_login(vault, mount=mount, role=ROLE, jwt=token)
    return refusal.value.code


@pytest.mark.parametrize("keys", ["jwks", "discovery"])
def test_only_its_own_tokens_log_in_where_an_organizations_issuer_is_trusted(
    keys: str, configured, vault: VaultClient, place: Place
):
    acme = place.url(place.acme)
    source = {"jwks_url": f"{acme}.well-known/jwks.json"} if keys == "jwks" else {"oidc_discovery_url": acme}
    mount = configured(**source, bound_issuer=acme)
    jwt_login(vault, mount=mount, role=ROLE, jwt=place.token(place.acme))
    assert refused(vault, mount, place.token(place.globex)) == "signature"
    assert refused(vault, mount, place.token(place.initech)) == "signature"  # of the shared issuer
    impostor = Minter(place.minter.of(UUID(place.globex.organization_id)).ring, acme, SYSTEM_CLOCK)
    assert refused(vault, mount, place.token(place.acme, impostor)) == "signature"
    shared = Minter(place.parts.ring, acme, SYSTEM_CLOCK)
    assert refused(vault, mount, place.token(place.acme, shared)) == "signature"


def test_the_issuer_alone_refuses_where_the_keys_would_not(configured, vault: VaultClient, place: Place):
    mount = configured(jwks_url=f"{place.server.url}/.well-known/jwks.json", bound_issuer=place.url(place.acme))
    assert refused(vault, mount, place.token(place.initech)) == "issuer"
    acme = place.url(place.acme)
    mount = configured(jwks_url=f"{acme}.well-known/jwks.json", bound_issuer=acme.removesuffix("/"))
    assert refused(vault, mount, place.token(place.acme)) == "issuer"  # the slash is a part of it
    mount = configured(jwks_url=f"{acme}.well-known/jwks.json", bound_issuer=place.server.url + "/")
    assert refused(vault, mount, place.token(place.acme)) == "issuer"


def test_an_organizations_token_is_refused_where_the_shared_issuer_is_trusted(
    configured, vault: VaultClient, place: Place
):
    mount = configured(jwks_url=f"{place.server.url}/.well-known/jwks.json", bound_issuer=f"{place.server.url}/")
    jwt_login(vault, mount=mount, role=ROLE, jwt=place.token(place.initech))
    assert refused(vault, mount, place.token(place.acme)) == "signature"


def test_no_key_stands_in_two_documents_and_nobody_else_has_one(place: Place):
    paths = ["", *(f"/o/{of.organization_id}" for of in (place.acme, place.globex))]
    found = [place.kids(path) for path in paths]
    assert [len(kids) for kids in found] == [1, 1, 1]
    assert len(set().union(*found)) == 3
    assert place.kids(f"/o/{place.initech.organization_id}") == set()


def test_changing_over_locks_nobody_out_and_the_commands_say_the_issuer_of_the_moment(
    configured, vault: VaultClient, place: Place, tmp_path
):
    hooli = place.server.found("hooli")
    shell = Shell(place.server, hooli)

    def show() -> dict[str, str]:
        return dict(shell.json("issuer", "show"))

    shell.run("issuer", "transition", code=exits.CONFLICT)
    mount = configured(jwks_url=show()["jwksUrl"], bound_issuer=show()["issuer"])
    before = place.token(hooli)
    jwt_login(vault, mount=mount, role=ROLE, jwt=before)

    place.choose(hooli, "prepared")
    assert show()["issuer"] == f"{place.server.url}/"
    mount = configured(**json.loads(shell.run("issuer", "transition").stdout))
    jwt_login(vault, mount=mount, role=ROLE, jwt=before)
    place.choose(hooli, "own")
    after = place.token(hooli)
    for token in (before, after):
        jwt_login(vault, mount=mount, role=ROLE, jwt=token)

    assert show()["issuer"] == place.url(hooli)
    mount = configured(jwks_url=show()["jwksUrl"], bound_issuer=show()["issuer"])
    jwt_login(vault, mount=mount, role=ROLE, jwt=after)
    assert refused(vault, mount, before) == "signature"
    shell.run("issuer", "export", "--own", str(tmp_path / "site"))
    exported = json.loads((tmp_path / "site/.well-known/openid-configuration").read_bytes())
    assert exported["issuer"] == place.url(hooli)


def test_the_operator_sees_and_rotates_the_keys_of_an_organization(place: Place):
    umbrella = place.server.found("umbrella")
    place.choose(umbrella, "prepared")
    shell, data = Shell(place.server, umbrella), ("--data-dir", str(place.server.data_dir))
    own = ("--organization", umbrella.organization_id)
    (key,) = shell.json("keys", "list", *data, *own)
    assert {key["keyId"]} == place.kids(f"/o/{umbrella.organization_id}")
    assert key["keyId"] not in {item["keyId"] for item in shell.json("keys", "list", *data)}
    exported = json.loads(shell.run("keys", "export-public", *data, *own).stdout)
    assert [item["kid"] for item in exported["keys"]] == [key["keyId"]]
    shell.run("keys", "rotate", *data, *own)
    wait_until(lambda: len(place.kids(f"/o/{umbrella.organization_id}")) == 2, "the next key is published")
    nobody = ("--organization", place.initech.organization_id)
    assert "has not chosen" in shell.run("keys", "rotate", *data, *nobody, code=exits.CONFLICT).stderr
