"""The management API in the tests of its routes: the application on a test's database, called by any API key."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.testclient import TestClient

from factories import Tenant, World
from runpass.ids import ProjectId
from runpass.server.access.api_keys import KeyRequest, create_api_key
from runpass.server.access.logins import Logins
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.app import build_api
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.key_life import KeyLife
from runpass.server.issuer.rings import Rings
from runpass.server.issuer.rotation import Policy
from runpass.server.settings import ServerSettings


class ManagementApi:
    """One API key's view. Every call says which status it expects."""

    def __init__(self, client: TestClient, auth: tuple[str, str]) -> None:
        self.client, self.auth = client, auth

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """Send a request; give the answer's JSON."""
        return self.answer(method, path, body, status=status, **headers).json()

    def answer(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.request(method, path, json=body, headers=sent, auth=self.auth)
        assert answer.status_code == status, answer.text
        return answer

    def of(self, tenant: Tenant, roles: dict[ProjectId, ProjectRole]) -> "ManagementApi":
        """Give the view of a new key with these roles on projects."""
        with tenant.world.database.write() as tx:
            wanted = KeyRequest(tenant.id, "key", OrganizationRole.USER, roles)
            made = create_api_key(tx, wanted, by=tenant.admin.audit_name, clock=tenant.world.clock)
        return ManagementApi(self.client, (made.key.api_key_id, made.secret.reveal()))


@contextmanager
def admin_client(world: World, tenant: Tenant) -> Iterator[TestClient]:
    """Give a plain client of the application, called by a tenant's admin."""
    application = build_api(None, Wakeups())
    application.state.database = world.database
    application.state.cipher = world.cipher
    application.state.clock = world.clock
    application.state.logins = Logins()
    application.state.settings = ServerSettings()
    life = KeyLife(world.database, world.cipher, world.clock, Policy(algorithm=Algorithm.ES256))
    application.state.rings = Rings(life)
    with TestClient(application) as client:
        client.auth = (tenant.api_key.api_key_id, tenant.api_secret.reveal())
        yield client


@contextmanager
def management_api(world: World, tenant: Tenant) -> Iterator[ManagementApi]:
    """Give the view of a tenant's admin."""
    with admin_client(world, tenant) as client:
        yield ManagementApi(client, (tenant.api_key.api_key_id, tenant.api_secret.reveal()))
