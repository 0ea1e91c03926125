"""Signing in to the console with an OpenID Connect provider: a real one, a real server, a real browser."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any
from uuid import UUID

import httpx2
import pytest

from axe import breaches
from browser import real_browser, visiting
from console import hidden_fields
from factories import Tenant, World
from openid_provider import CLIENT_ID, CLIENT_SECRET, RunningProvider, running_provider
from people_of_provider import claims_of_run
from programs import Founded, RunningServer, free_port, run_cli, running_server
from runpass.ids import OrganizationId
from runpass.server.access.people import person_actor
from runpass.server.opening import open_parts
from runpass.server.people import identity_store
from runpass.server.settings import load_settings

ORGANIZATION = "/console/organizations"
HOME = "/console/"


@dataclass(frozen=True)
class Scene:
    """A server whose people sign in with a provider."""

    server: RunningServer
    provider: RunningProvider
    admin: Founded

    @property
    def events(self) -> list[Any]:
        with self.server.http(self.admin) as http:
            answer = http.get("/api/audit-events", params={"organizationId": self.admin.organization_id})
        found: list[Any] = answer.raise_for_status().json()
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("openid")
    port = free_port()
    secret, roles = directory / "secret", directory / "roles.toml"
    secret.write_text(CLIENT_SECRET)
    with running_provider(f"http://127.0.0.1:{port}/console/sign-in/callback") as provider:
        settings = {
            "openid_issuer": provider.issuer,
            "openid_client_id": CLIENT_ID,
            "openid_client_secret_file": secret,
            "openid_roles_file": roles,
            "openid_name": "Acme <b>ID</b>",
            "openid_scopes": "openid profile email",
        }
        roles.write_text(rules("00000000-0000-7000-8000-000000000000"))
        with running_server(directory, port=port, **settings) as server:
            admin = server.found("acme")
            roles.write_text(rules(admin.organization_id))
            server.restart()
            yield Scene(server, provider, admin)


@pytest.fixture(autouse=True)
def _good(scene: Scene) -> None:
    scene.provider.set(mode="good", people={})


def rules(organization: str) -> str:
    rule = '[[roles]]\ngroup = "{}"\norganization = "{}"\nrole = "{}"\n'
    return rule.format("bosses", organization, "Admin") + rule.format("people", organization, "User")


class Client:
    """A browser's part in signing in, without a browser."""

    def __init__(self, server: RunningServer) -> None:
        self.http = server.http()
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> httpx2.Response:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if fields is not None:
            headers |= {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
        self.http.cookies.clear()
        answer = self.http.request(method, path, data=fields, headers=headers)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0].strip('"')
        return answer

    def begin(self, place: str = "") -> str:
        """Press the button; give where the browser is sent."""
        page = self.ask("GET", f"/console/sign-in?next={place}")
        answer = self.ask("POST", "/console/sign-in/openid", hidden_fields(page.text))
        assert answer.status_code == httpx2.codes.OK, answer.text
        return unescape(answer.headers["refresh"].removeprefix("0; url="))

    def come_back(self, scene: Scene, login: str, place: str = "") -> str:
        return scene.provider.answers(self.begin(place), login)

    def sign_in(self, scene: Scene, login: str, place: str = "") -> httpx2.Response:
        return self.ask("GET", self.come_back(scene, login, place))


@pytest.fixture
def client(scene: Scene) -> Iterator[Client]:
    client = Client(scene.server)
    yield client
    client.http.close()


def said(answer: httpx2.Response) -> str:
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    assert found, answer.text
    return found[1]


def is_in(answer: httpx2.Response) -> bool:
    return answer.status_code == httpx2.codes.SEE_OTHER and "__Host-runpass-session" in answer.headers["set-cookie"]


def test_people_sign_in_and_lose_what_their_groups_lose_in_a_real_browser(scene: Scene):
    name = "Ann <script>alert(1)</script>"
    scene.provider.set(people={"ann": {"name": name, "groups": ["bosses"]}})
    with real_browser() as browser:
        with visiting(browser, scene.server.url) as (page, _):
            page.goto("/console/sign-in?next=/console/sessions")
            assert breaches(page) == []
            page.get_by_role("button", name="Sign in with Acme <b>ID</b>").click()
            page.get_by_label("Login").fill("ann")
            page.get_by_role("button", name="Continue").click()
            page.wait_for_url("**/console/sessions")
            assert name in page.locator("body").inner_text()
            assert page.get_by_role("link", name="People").count() == 1
            other = Client(scene.server)
            scene.provider.set(people={"ann": {"name": name, "groups": ["people"]}})
            assert is_in(other.sign_in(scene, "ann"))
            other.http.close()
            page.goto("/console/sessions")
            assert page.title() == "Sign in · runpass"
        scene.provider.set(people={"ann": {"name": name, "groups": ["nobody's"]}})
        with visiting(browser, scene.server.url, width=360) as (page, complaints):
            page.goto("/console/sign-in")
            page.get_by_role("button", name="Sign in with Acme <b>ID</b>").click()
            page.get_by_label("Login").fill("ann")
            page.get_by_role("button", name="Continue").click()
            page.wait_for_url("**/console/sign-in/callback*")
            assert "no group of yours has a role here" in page.get_by_role("alert").inner_text()
            assert breaches(page) == []
            assert [text for text in complaints.take() if "403" not in text] == []


WHY = {
    "wrong nonce": "InvalidClaimError nonce",
    "no nonce": "MissingClaimError nonce",
    "wrong issuer": "InvalidClaimError iss",
    "wrong audience": "InvalidClaimError aud",
    "wrong azp": "InvalidClaimError azp",
    "several audiences": "MissingClaimError azp",
    "expired": "ExpiredTokenError exp",
    "from the future": "InvalidClaimError iat",
    "wrong at_hash": "InvalidClaimError at_hash",
    "no subject": "MissingClaimError sub",
    "alg none": "alg is not allowed",
    "HS256": "alg is not allowed",
    "another key": "BadSignatureError",
    "unknown kid": "no key of the provider's fits",
    "no iss": "does not say which provider it comes from",
    "another iss": "comes from another provider",
}
"""How the provider misbehaves, and what the log says of it: each for its own reason."""


@pytest.mark.parametrize("mode", WHY)
def test_an_answer_that_does_not_prove_who_it_is_signs_nobody_in(scene: Scene, client: Client, mode: str):
    scene.provider.set(mode=mode, people={"bob": {"groups": ["people"]}})
    told = len(scene.server.log)
    answer = client.sign_in(scene, "bob")
    assert answer.status_code == httpx2.codes.UNAUTHORIZED
    assert WHY[mode] in scene.server.log[told:]
    assert said(answer) == "The provider&#39;s answer does not prove who you are."
    assert "__Host-runpass-session" not in client.cookies
    assert CLIENT_SECRET not in scene.server.log


def test_a_sign_in_goes_back_to_where_it_began_and_nowhere_else(scene: Scene, client: Client):
    scene.provider.set(people={"cid": {"groups": ["people"]}})
    answer = client.sign_in(scene, "cid", "/console/sessions")
    assert is_in(answer)
    assert answer.headers["location"] == "/console/sessions"
    for elsewhere in ("https://evil.example/", "//evil.example", "/console/../x"):
        client.cookies = {}
        assert client.sign_in(scene, "cid", elsewhere).headers["location"] == HOME


def test_another_sites_form_begins_no_sign_in(scene: Scene, client: Client):
    fields = hidden_fields(client.ask("GET", "/console/sign-in").text)
    forged = client.ask("POST", "/console/sign-in/openid", {**fields, "form_token": "0" * 64})
    assert forged.status_code == httpx2.codes.FORBIDDEN
    client.cookies = {}
    assert client.ask("POST", "/console/sign-in/openid", fields).status_code == httpx2.codes.BAD_REQUEST


def test_a_server_is_no_provider_for_itself(scene: Scene):
    wrong = {**scene.server.environment, "RUNPASS_OPENID_ISSUER": f"{scene.server.url}/"}
    done = run_cli("server", environment=wrong, check=False)
    assert done.returncode != 0
    assert "openid_issuer is this server" in done.stderr


def test_an_answer_counts_once(scene: Scene, client: Client):
    scene.provider.set(people={"dan": {"groups": ["people"]}})
    before = client.cookies
    place = client.come_back(scene, "dan")
    kept = dict(before)
    assert is_in(client.ask("GET", place))
    client.cookies = kept
    again = client.ask("GET", place)
    assert again.status_code == httpx2.codes.BAD_REQUEST
    assert "used already" in said(again)


def test_an_answer_counts_in_the_browser_that_asked_and_is_not_used_up_by_another(scene: Scene, client: Client):
    scene.provider.set(people={"eve": {"groups": ["people"]}})
    place = client.come_back(scene, "eve")
    victim = Client(scene.server)
    assert "not begun in this browser" in said(victim.ask("GET", place))
    victim.begin()
    assert "not begun in this browser" in said(victim.ask("GET", place))
    victim.http.close()
    assert is_in(client.ask("GET", place))


def test_a_state_that_was_never_given_is_refused(scene: Scene, client: Client):
    scene.provider.set(people={"fay": {"groups": ["people"]}})
    place = client.come_back(scene, "fay")
    for wrong in (re.sub(r"state=[^&]*", "state=rpo_other", place), re.sub(r"state=[^&]*&?", "", place)):
        answer = client.ask("GET", wrong)
        assert answer.status_code == httpx2.codes.BAD_REQUEST
        assert "not begun in this browser" in said(answer)
    doubled = client.ask("GET", f"{place}&state=another")
    assert doubled.status_code == httpx2.codes.BAD_REQUEST


def test_a_code_of_another_sign_in_is_refused(scene: Scene, client: Client):
    scene.provider.set(people={"gus": {"groups": ["people"]}})
    theirs = Client(scene.server)
    code = re.search(r"code=([^&]*)", theirs.come_back(scene, "gus"))
    theirs.http.close()
    assert code
    answer = client.ask("GET", re.sub(r"code=[^&]*", code[0], client.come_back(scene, "gus")))
    assert answer.status_code == httpx2.codes.BAD_GATEWAY
    assert "__Host-runpass-session" not in client.cookies


def test_somebody_who_turns_back_at_the_provider_is_not_signed_in(scene: Scene, client: Client):
    place = client.begin()
    state = re.search(r"state=([^&]*)", place)
    assert state
    answer = client.ask(
        "GET", f"/console/sign-in/callback?error=access_denied&state={state[1]}&iss={scene.provider.issuer}"
    )
    assert answer.status_code == httpx2.codes.UNAUTHORIZED
    assert said(answer) == "The provider did not sign you in."


def test_the_same_address_at_another_subject_is_another_person(scene: Scene):
    one = {"name": "Hal", "email": "hal@example.com", "email_verified": True, "groups": ["people"]}
    scene.provider.set(people={"hal": one, "hal-2": one})
    before = len([event for event in scene.events if event["action"] == "person.joined"])
    for login in ("hal", "hal-2", "hal"):
        client = Client(scene.server)
        assert is_in(client.sign_in(scene, login))
        client.http.close()
    joined = [event for event in scene.events if event["action"] == "person.joined"]
    assert len(joined) == before + 2


def test_a_run_has_the_address_that_the_provider_verified_until_it_no_longer_does(scene: Scene, client: Client):
    """From the provider's ID Token to the claim of a run's token; the run is started by the very person."""
    parts = open_parts(load_settings(environment=scene.server.environment).settings)
    world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
    organization = OrganizationId(UUID(scene.admin.organization_id))
    said = {"name": "Ida", "groups": ["bosses"], "email": "ida@example.com"}
    seen = []
    for verified in (True, False, "true", True):
        scene.provider.set(people={"ida": {**said, "email_verified": verified}})
        client.cookies = {}
        assert is_in(client.sign_in(scene, "ida"))
        with parts.database.read() as tx:
            person = identity_store.find_by_identity(tx, scene.provider.issuer, "ida")
        assert person is not None
        ida = person_actor(person)
        seen.append(claims_of_run(Tenant.of(world, organization, ida), ida).get("deployerEmail"))
    parts.close()
    assert seen == ["ida@example.com", None, None, "ida@example.com"]
