"""The runner protocol on a socket, for tests of the runner: one process's memory instead of a server."""

import json
import socket
import threading
import time
from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from fake_servers import Door, OnASocket
from runpass.ids import new_id
from runpass.protocol.credentials import CredentialGrant, CredentialKind, VaultOidc
from runpass.protocol.identity import ForJob, IdentityRequest, IdentityToken
from runpass.protocol.registration import Registered, Registration
from runpass.protocol.reports import Finish, Leak, LogEvent, LogLevel, Report, Step
from runpass.protocol.run_lease import Command, Heartbeat, HeartbeatAnswer, Phase, RunFacts, RunLease, Variable, Wish
from runpass.protocol.vault_logins import GivenToken, LoginReport
from runpass.protocol.version import LEASE_SECRET_HEADER, PREFIX, PROTOCOL_VERSION, VERSION_HEADER
from runpass.protocol.wire import decode, encode
from runpass.secret import Secret

JOIN_TOKEN = "join-token-for-tests"


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class FakeControlPlane(OnASocket):
    """`offer` leases, `wait_finished`, then look at what was reported. Context manager."""

    def __init__(self, lease_seconds=30.0):
        super().__init__(_door(self))
        self.lease_seconds = lease_seconds
        self.runner_key = "runner-key-" + str(new_id())
        self.registrations: list[Registration] = []
        self.steps: dict[UUID, dict[str, Step]] = defaultdict(dict)
        self.leaks: dict[UUID, list[Leak]] = defaultdict(list)
        self.finishes: dict[UUID, Finish] = {}
        self.late: list[str] = []
        self.purposes: dict[UUID, list[str]] = defaultdict(list)
        self.tokens: list[str] = []
        self.offered_at: dict[UUID, float] = {}
        self.finished_at: dict[UUID, float] = {}
        self.wish: dict[UUID, Wish] = {}
        self.lost: set[UUID] = set()
        self.heartbeats: dict[UUID, int] = defaultdict(int)
        self.failures: deque[int] = deque()  # statuses to answer the next reports with
        self.refuse_identity = False
        self.keeps_account = True  # an older server does not
        self.refuse_heartbeats = None
        self.refuse_details = False
        self.refuse_logins = 0
        self.logins: dict[UUID, dict[UUID, list[GivenToken | None]]] = defaultdict(lambda: defaultdict(list))
        self.revoked = False
        self._events: dict[UUID, dict[tuple[str, int], LogEvent]] = defaultdict(dict)
        self._waiting: deque[RunLease] = deque()
        self._leases: dict[UUID, RunLease] = {}
        self._changed = threading.Condition()
        self._closing = False

    def __exit__(self, *_):
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        super().__exit__()

    def offer(self, *commands, **changes):
        """Queue a run lease with these commands and give it."""
        now = datetime.now(UTC)
        facts = {
            "organization_id": new_id(),
            "organization_name": "acme",
            "project_id": new_id(),
            "project_name": "web",
            "environment_id": new_id(),
            "environment_name": "web-production",
            "deployment_id": new_id(),
            "deployment_type": "deploy",
            "template_id": new_id(),
            "template_name": "shell",
            "workspace_name": "web-production-1",
            **changes.pop("run", {}),
        }
        fields = {
            "lease_id": new_id(),
            "lease_secret": Secret(f"lease-secret-{new_id()}"),
            "fencing_token": 7,
            "expires_at": now + timedelta(seconds=self.lease_seconds),
            "timeout_seconds": 60.0,
            "run": RunFacts(**facts),
            "phase": Phase.APPLY,
            "commands": [
                item if isinstance(item, Command) else Command(step=f"shell:{number}", script=item)
                for number, item in enumerate(commands, start=1)
            ],
            **changes,
        }
        lease = RunLease(**fields)
        with self._changed:
            self._leases[lease.lease_id] = lease
            self._waiting.append(lease)
            self._changed.notify_all()
        return lease

    def wait(self, what, seconds=20.0):
        """Wait until `what()` is true, looking again at every message."""
        with self._changed:
            assert self._changed.wait_for(what, seconds), "this did not happen in time"

    def wait_finished(self, lease, seconds=20.0):
        self.wait(lambda: lease.lease_id in self.finishes, seconds)
        return self.finishes[lease.lease_id]

    def wait_logged(self, lease, text, seconds=20.0):
        self.wait(lambda: text in self.log(lease), seconds)

    def set_wish(self, lease, wish):
        self.wish[lease.lease_id] = wish

    def lose(self, lease):
        self.lost.add(lease.lease_id)

    def events(self, lease):
        return list(self._events[lease.lease_id].values())

    def log(self, lease, *levels):
        events = self.events(lease)
        return "\n".join(event.message for event in events if not levels or event.level in levels)

    def system_log(self, lease):
        return self.log(lease, LogLevel.SYSTEM)

    def step_states(self, lease):
        steps = sorted(self.steps[lease.lease_id].values(), key=lambda step: step.order)
        return {step.name: step.status.value for step in steps}

    # What the doors do. All are called with the condition held, except the long poll's wait.

    def answer(self, path, query, headers, body, is_alive):
        if headers.get(VERSION_HEADER) != str(PROTOCOL_VERSION):
            raise Refused(400, "version", "no protocol version")
        bearer = headers.get("Authorization", "").removeprefix("Bearer ")
        parts = path.removeprefix(PREFIX + "/").split("/")
        with self._changed:
            try:
                if parts == ["register"]:
                    return self._register(bearer, body)
                if bearer != self.runner_key or self.revoked:
                    raise Refused(401, "unauthenticated", "this runner key is not known")
                if parts == ["vault-tasks"]:
                    return None
                if parts == ["run-leases"]:
                    return self._next(float(query["wait"][0]), is_alive)
                return self._lease_call(UUID(parts[1]), parts[2], headers.get(LEASE_SECRET_HEADER), body, *parts[3:])
            finally:
                self._changed.notify_all()

    def _register(self, bearer, body):
        if bearer != JOIN_TOKEN:
            raise Refused(401, "unauthenticated", "this join token is not known")
        self.registrations.append(decode(Registration, body))
        return Registered(
            runner_id=new_id(),
            runner_key=Secret(self.runner_key),
            organization_id=new_id(),
            pool="default",
            lease_seconds=self.lease_seconds,
        )

    def _next(self, wait, is_alive):
        self._changed.wait_for(lambda: self._waiting or self._closing or self.revoked, wait)
        if not self._waiting or not is_alive():  # a runner that is gone takes nothing
            return None
        lease = self._waiting.popleft()
        self.offered_at[lease.lease_id] = time.monotonic()
        return lease

    def _lease_call(self, lease_id, door, secret, body, *more):
        lease = self._leases[lease_id]
        if lease.lease_secret != Secret(secret or ""):
            raise Refused(401, "unauthenticated", "this lease secret is not known")
        if lease_id in self.lost or lease_id in self.finishes:
            if door in {"report", "finish"}:
                self.late.append(door)
            raise Refused(409, "stale_lease", "this run lease was lost")
        return getattr(self, "_" + door.replace("-", "_"))(lease, body, *more)

    def _heartbeat(self, lease, body):
        assert decode(Heartbeat, body).fencing_token == lease.fencing_token
        self.heartbeats[lease.lease_id] += 1
        if self.refuse_heartbeats:
            raise Refused(self.refuse_heartbeats, "trouble", "try again")
        expires_at = datetime.now(UTC) + timedelta(seconds=self.lease_seconds)
        return HeartbeatAnswer(expires_at=expires_at, wish=self.wish.get(lease.lease_id, Wish.GO_ON))

    def _identity_token(self, lease, body):
        if self.refuse_identity:
            raise Refused(403, "forbidden", "this run may not have a token")
        purpose = decode(IdentityRequest, body).purpose
        second = isinstance(purpose, ForJob) and purpose.audience_format == "v2"
        self.purposes[lease.lease_id].append(f"{purpose.kind} v2" if second else purpose.kind)
        token = f"eyJhbGciOiJFZERTQSJ9.{purpose.kind}-{new_id()}.c2lnbmF0dXJl"
        self.tokens.append(token)
        expires_at = datetime.now(UTC) + timedelta(minutes=15)
        login_id = new_id() if purpose.kind == "credential" and self.keeps_account else None
        return IdentityToken(
            token=Secret(token), jti=str(new_id()), audience=self.url, expires_at=expires_at, login_id=login_id
        )

    def _vault_logins(self, lease, body, login_id):
        if self.refuse_logins:
            raise Refused(self.refuse_logins, "trouble", "try again")
        report = decode(LoginReport, body)
        assert report.fencing_token == lease.fencing_token
        self.logins[lease.lease_id][UUID(login_id)].append(report.given)

    def _report(self, lease, body):
        if self.failures:
            raise Refused(self.failures.popleft(), "trouble", "try again")
        report = decode(Report, body)
        assert report.fencing_token == lease.fencing_token
        self.steps[lease.lease_id].update({step.name: step for step in report.steps})
        self.leaks[lease.lease_id] += report.leaks
        for event in report.events:
            self._events[lease.lease_id].setdefault((event.step, event.number), event)

    def _finish(self, lease, body):
        if self.refuse_details and decode(Finish, body).refusal is not None:
            raise Refused(422, "invalid_input", "refusal.reason: is too long")
        self.finishes[lease.lease_id] = decode(Finish, body)
        self.finished_at[lease.lease_id] = time.monotonic()


def variable(name, value, *, sensitive=False):
    return Variable(name=name, value=Secret(value), sensitive=sensitive)


def vault_credential(address, *, role="deploy", mount="jwt", namespace="", name="vault"):
    value = VaultOidc(
        address=address, version="1.18.0", role_name=role, jwt_auth_backend_path=mount, namespace=namespace
    )
    return CredentialGrant(credential_id=new_id(), name=name, kind=CredentialKind.VAULT_OIDC, value=value)


def _is_open(connection):
    """Whether the runner still waits for its answer: a connection that it closed reads as empty."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _door(plane):
    class RunnerDoor(Door):
        def reply(self):
            parts = urlsplit(self.path)
            try:
                record = plane.answer(parts.path, parse_qs(parts.query), self.headers, self.body(), self.is_alive)
                status, content = (204, b"") if record is None else (200, encode(record))
            except Refused as error:
                status = error.status
                content = json.dumps({"code": error.code, "message": str(error), "errors": []}).encode()
            self.send(status, content)

        def is_alive(self):
            return _is_open(self.connection)

    return RunnerDoor
