"""Three servers on one PostgreSQL behind a caching proxy, and runs that mint and log in at a real OpenBao all the time.

The proxy keeps the key set for as long as `Cache-Control` says and asks any server that answers. Runs ask any server
for their tokens and log in with them at once, or later, until shortly before they expire.
"""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from fake_servers import Door, OnASocket
from programs import Founded, RunningServer, start_server
from runpass.errors import ControlPlaneError
from runpass.local.admin import Admin
from runpass.protocol.identity import ForJob, IdentityToken
from runpass.protocol.registration import Isolation, Registration
from runpass.protocol.reports import Finish, Outcome
from runpass.protocol.run_lease import RunLease
from runpass.runner.control_plane import ControlPlane, TemporaryFailure
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import VaultFailure
from runpass.vault.login import jwt_login

ISSUER = "https://issuer.test/"
AUDIENCE = "https://issuer.test"
ROLE = "run"
LIFETIME_SECONDS = 5
TIMES = {
    "token_lifetime_seconds": LIFETIME_SECONDS,
    "key_rotation_seconds": 10,
    "key_publish_ahead_seconds": 6,
    "key_ring_stale_seconds": 4,
    "jwks_max_age_seconds": 2,
}
TOKENS_OF_A_RUN = 900
"""A run may ask for 1000."""
AT_ONCE = 4
LUCK = random.Random()  # noqa: S311 -- nothing here is secret


@dataclass
class Seen:
    """What happened so far; runs add to it from threads of their own."""

    kids: dict[str, int] = field(default_factory=dict)
    logins: int = 0
    too_late: int = 0
    unavailable: int = 0
    unreachable: int = 0
    fetches: int = 0
    kills: int = 0
    refused: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)

    @property
    def rotations(self) -> int:
        return max(0, len(self.kids) - 1)


class Fleet:
    """The servers, by number; one may be down at a time."""

    def __init__(self, directory: Path, database_url: str) -> None:
        self.directory = directory
        self.settings: dict[str, Any] = {
            "database_url": database_url,
            "master_key": "07" * 32,
            "issuer_url": ISSUER,
            "foreign_issuer": True,
            "lease_seconds": 600,
            "long_poll_seconds": 1,
            "rate_limit_requests": 0,
            **TIMES,
        }
        self.servers: list[RunningServer] = []
        self.kept: tuple[float, bytes] = (0.0, b"")

    def start(self, stack: ExitStack, number: int = 3) -> None:
        for each in range(number):
            server = start_server(self.directory / f"server-{each}", **self.settings)
            self.servers.append(stack.enter_context(server))

    def kill_and_restart(self) -> None:
        """End any server as a crash would, and start it again a second later."""
        victim = LUCK.choice(self.servers)
        victim.program.kill()
        time.sleep(1)
        victim.restart()

    def key_set(self) -> bytes:
        """Give the key set as a proxy would: kept for as long as allowed, from any server that answers."""
        now = time.monotonic()
        if now - self.kept[0] > TIMES["jwks_max_age_seconds"]:
            for server in LUCK.sample(self.servers, len(self.servers)):
                try:
                    answer = httpx2.get(f"{server.url}/.well-known/jwks.json", trust_env=False, timeout=5)
                except httpx2.TransportError:
                    continue
                if answer.is_success:
                    self.kept = (now, answer.content)
                    break
        return self.kept[1]


@contextmanager
def proxy(fleet: Fleet, seen: Seen) -> Iterator[str]:
    """The address at which a Vault fetches the key set."""

    class KeySetDoor(Door):
        def reply(self) -> None:
            seen.fetches += 1
            self.send(200, fleet.key_set(), "Connection: close")
            self.close_connection = True

    with OnASocket(KeySetDoor) as server:
        yield f"{server.url}/jwks.json"


def set_up_vault(root: VaultClient, mount: str, jwks_url: str, organization_id: str) -> None:
    """Configure the mount, and a role that allows tokens not a second more than they say."""
    root.write(f"auth/{mount}/config", {"jwks_url": jwks_url, "bound_issuer": ISSUER})
    role = {
        "role_type": "jwt",
        "user_claim": "environmentId",
        "bound_audiences": [AUDIENCE],
        "bound_claims": {"organizationId": organization_id, "apiKeyType": "oidc"},
        "token_type": "batch",
        "token_ttl": 60,
        "clock_skew_leeway": -1,
        "expiration_leeway": -1,
        "not_before_leeway": -1,
    }
    root.write(f"auth/{mount}/role/{ROLE}", role)


@dataclass
class Run(threading.Thread):
    """A runner of its own whose run mints and logs in until it is told to stop."""

    fleet: Fleet
    admin: Founded
    vault: VaultClient
    mount: str
    seen: Seen
    stop: threading.Event
    project: str

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            asyncio.run(self.work())
        except Exception as error:  # noqa: BLE001 -- a thread's end must reach the test
            self.seen.crashed.append(repr(error))

    async def work(self) -> None:
        planes = [ControlPlane(server.url) for server in self.fleet.servers]
        try:
            await self.register(planes)
            while not self.stop.is_set():
                lease = await self.lease(planes)
                if lease is None:
                    return
                await asyncio.gather(*(self.go_on(planes, lease) for _ in range(AT_ONCE)))
                with suppress(TemporaryFailure):  # of a server that is down: nobody waits for the end of this run
                    finish = Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS)
                    await LUCK.choice(planes).finish(lease, finish)
        finally:
            for plane in planes:
                await plane.aclose()

    async def register(self, planes: list[ControlPlane]) -> None:
        with closing(self.api()) as api:
            token = api.join_token(1)
        registration = Registration(name=self.name, version="1", isolation=Isolation.UID, capacity=1)
        registered = await planes[0].register(token, registration)
        for plane in planes:
            plane.use_key(registered.runner_key)

    def api(self, server: int = 0) -> Admin:
        admin = self.admin
        url = self.fleet.servers[server].url
        return Admin(url, admin.organization_id, admin.api_key_id, Secret(admin.api_key_secret))

    async def lease(self, planes: list[ControlPlane]) -> RunLease | None:
        """Queue a deployment and take one, at whichever server is there; nothing when it is told to stop."""
        while not self.stop.is_set():
            server = LUCK.randrange(len(planes))
            with suppress(ControlPlaneError):
                self.queue(server)
                lease = await planes[server].next_lease(1)
                if lease is not None:
                    return lease
            await asyncio.sleep(0.2)
        return None

    def queue(self, server: int) -> None:
        name = f"{self.name}-{LUCK.randbytes(4).hex()}"
        with closing(self.api(server)) as api:
            body = {"name": name, "type": "shell", "commands": ["true"], "organizationId": api.organization_id}
            template = api.call("POST", "/blueprints", body)["id"]
            api.call("PATCH", f"/blueprints/{template}/projects", {"projectId": self.project})
            environment = {"name": name, "projectId": self.project, "deployRequest": {"blueprintId": template}}
            api.call("POST", "/environments", environment)

    async def go_on(self, planes: list[ControlPlane], lease: RunLease) -> None:
        for _ in range(TOKENS_OF_A_RUN // AT_ONCE):
            if self.stop.is_set():
                return
            await self.once(planes, lease)

    async def once(self, planes: list[ControlPlane], lease: RunLease) -> None:
        """Mint at any server and log in, at once or up to three seconds later."""
        try:
            identity = await LUCK.choice(planes).identity_token(lease, ForJob())
        except TemporaryFailure as error:
            if "answered" in error.message:
                self.seen.unavailable += 1
            else:
                self.seen.unreachable += 1
            return
        kid = jwt.get_unverified_header(identity.token.reveal())["kid"]
        self.seen.kids[kid] = self.seen.kids.get(kid, 0) + 1
        await asyncio.sleep(LUCK.choice([0.05, 0.2, 1.0, 3.0]))
        await asyncio.to_thread(self.log_in, identity, kid)

    def log_in(self, identity: IdentityToken, kid: str) -> None:
        try:
            jwt_login(self.vault, mount=self.mount, role=ROLE, jwt=identity.token)
        except VaultFailure as error:
            if datetime.now(UTC) >= identity.expires_at:
                self.seen.too_late += 1  # the machine was too slow, not the issuer
            else:
                self.seen.refused.append(f"{kid}: {error.message} ({getattr(error, 'vault_error', '')})")
        else:
            self.seen.logins += 1


def make_vault_fetch(vault: VaultClient, mount: str) -> None:
    """Show the Vault a token with a key id that nobody has: it then fetches the key set, and forgets the older one."""
    key = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode({"iss": ISSUER, "aud": AUDIENCE}, key, algorithm="ES256", headers={"kid": "nobody's"})
    try:
        jwt_login(vault, mount=mount, role=ROLE, jwt=Secret(token))
    except VaultFailure:
        return
    raise AssertionError("a token that nobody signed logs in")


def most(kids: dict[str, int]) -> list[tuple[str, int]]:
    """Give the tokens of each key, for a failure's message."""
    return Counter(kids).most_common()
