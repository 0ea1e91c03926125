"""One running server for all tests of the surface: in this process, on a real database, without a socket."""

from collections.abc import Iterator

import pytest
import structlog
from starlette.testclient import TestClient

from factories import MASTER_KEY, World
from runpass.clock import SYSTEM_CLOCK
from runpass.secret import Secret
from runpass.server.app import build_app
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings
from surface_scene import Server, furnish

CANARY = "canary-7c1e"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    directory.chmod(0o700)
    settings = ServerSettings(
        data_dir=directory,
        master_key=Secret(MASTER_KEY.hex()),
        max_body_bytes=4_194_304,
        long_poll_seconds=0,
        lease_seconds=600,
        rate_limit_requests=0,
        failed_login_limit=0,
    )
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    parts = open_parts(settings)
    world = World(parts.database, parts.cipher, SYSTEM_CLOCK)
    ours, theirs = furnish(world, "ours", f"{CANARY}-ours"), furnish(world, "theirs", f"{CANARY}-theirs")
    ours.tenant.set_organization(policies={"identity_issuer": "prepared"})
    parts.rings.prepare(ours.tenant.id)
    app = build_app(parts)
    with TestClient(app) as client:
        server = Server(app, client, parts, ours, theirs)
        yield server
        server.close()
    structlog.reset_defaults()


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """The server as it was at the beginning."""
    running.restore()
    return running
