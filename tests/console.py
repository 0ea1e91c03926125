"""The web console in tests: a browser's part without a browser. Cookies are kept, forms are found and sent back."""

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from factories import World
from runpass.ids import OrganizationId, ProjectId
from runpass.server.access import people
from runpass.server.access.api_keys import KeyRequest, NewApiKey, create_api_key
from runpass.server.access.logins import Logins
from runpass.server.access.passwords import Passwords
from runpass.server.access.people import PersonRequest
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.access.refusals import Refusals
from runpass.server.access.sign_ins import SignIns
from runpass.server.app import build_api, build_console
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.key_life import KeyLife
from runpass.server.issuer.rings import Rings
from runpass.server.issuer.rotation import Policy
from runpass.server.opening import Parts
from runpass.server.settings import ServerSettings
from runpass.server.web.cookies import SESSION
from runpass.server.web.pages import Pages

HOST = "http://127.0.0.1:8440"
"""What the settings say by default."""
PAGES = Pages()
"""Shared: compiling the templates takes longer than most tests."""
OURS = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
"""What a browser sends with a form of a page without referrers."""


class _Fields(HTMLParser):
    """The hidden fields of a page: of several with one name the last."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.found[str(given["name"])] = given.get("value") or ""


def hidden_fields(page: str) -> dict[str, str]:
    return _Fields(page).found


class Browser:
    """One browser's view of the console. It keeps cookies as `__Host-` ones are kept, for this host alone."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Any:
        return self._send("GET", path, None, headers)

    def post(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Any:
        return self._send("POST", path, fields, OURS if headers is None else headers)

    def form(self, path: str = "/console/sessions") -> dict[str, str]:
        """Give the hidden fields of a page."""
        return hidden_fields(self.get(path).text)

    def sign_in(self, key: NewApiKey | tuple[str, str], place: str = "") -> Any:
        """Sign in with the form; give the answer."""
        name, secret = key if isinstance(key, tuple) else (key.key.api_key_id, key.secret.reveal())
        fields = self.form(f"/console/sign-in?next={place}" if place else "/console/sign-in")
        return self.post("/console/sign-in", {**fields, "name": name, "secret": secret})

    @property
    def session(self) -> str:
        return self.cookies[SESSION]

    def _send(self, method: str, path: str, fields: dict[str, str] | None, headers: dict[str, str]) -> Any:
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} | headers
        self.client.cookies.clear()
        answer = self.client.request(method, path, data=fields, headers=sent, follow_redirects=False)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0]
            if value.strip('"'):
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer


@contextmanager
def console(world: World, **settings: Any) -> Iterator[TestClient]:
    """Give a client of the console, and of the management API beside it, on a test's database."""
    api = build_api(None, Wakeups())
    api.state.database, api.state.cipher, api.state.clock = world.database, world.cipher, world.clock
    api.state.settings = ServerSettings(**settings)
    api.state.rings = Rings(KeyLife(world.database, world.cipher, world.clock, Policy(algorithm=Algorithm.ES256)))
    api.state.logins, api.state.refusals = Logins(), Refusals(world.database, world.clock)
    api.state.openid = None
    api.state.sign_ins = SignIns(world.database, world.clock, Passwords(CHEAPEST))
    app = Starlette(routes=[Mount("/api", api), Mount("/console", build_console(api, PAGES))])
    with TestClient(app, base_url=HOST) as client:
        yield client


def new_key(
    world: World, organization: Any, role: OrganizationRole, roles: dict[ProjectId, ProjectRole] | None = None
) -> NewApiKey:
    """Make an API key called `key`."""
    with world.database.write() as tx:
        wanted = KeyRequest(organization, "key", role, roles or {})
        return create_api_key(tx, wanted, by="test", clock=world.clock)


PASSWORD = "stapled horses gallop"
"""Of the people of tests, who have it hashed in the cheapest way."""


def new_person(
    world: World | Parts,
    organization: OrganizationId,
    name: str,
    role: OrganizationRole = OrganizationRole.ADMIN,
    display_name: str = "",
) -> Person:
    """Give somebody who has joined, with `PASSWORD`."""
    wanted = PersonRequest(
        organization_id=organization,
        sign_in_name=name,
        display_name=display_name or name,
        organization_role=role,
        project_roles={},
    )
    hashed = PasswordHasher.from_parameters(CHEAPEST).hash(PASSWORD)
    person = people.new_person(wanted, by="test", now=world.clock.now(), password_hash=hashed)
    with world.database.write() as tx:
        people.add_person(tx, person, "person.joined", by="test")
    return person
