"""The server as the runner sees it: one connection pool, the doors of the runner protocol, errors in our words."""

import asyncio
import random
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
from pydantic import BaseModel

from runpass.errors import ConfigurationError, ControlPlaneError, Forbidden, RunpassError, StaleLease, Unauthenticated
from runpass.protocol.credentials import is_loopback
from runpass.protocol.identity import ID_TOKEN_PATH, IdentityRequest, IdentityToken, Purpose
from runpass.protocol.key_checks import KEY_CHECKS_PARAMETER, KeyCheck, KeyCheckReport
from runpass.protocol.registration import Registered, Registration
from runpass.protocol.reports import Finish, Report
from runpass.protocol.run_lease import Heartbeat, HeartbeatAnswer, RunLease
from runpass.protocol.sweeps import SWEEPS_PARAMETER, Sweep, SweepReport, decode_task
from runpass.protocol.vault_logins import GivenToken, LoginReport
from runpass.protocol.vault_tasks import TASK_SECRET_HEADER, ConnectionTest, TestReport
from runpass.protocol.version import LEASE_SECRET_HEADER, PREFIX, PROTOCOL_VERSION, VERSION_HEADER
from runpass.protocol.wire import decode, encode
from runpass.secret import Secret

POLL_SECONDS: Final = 25.0
ANSWER_SECONDS: Final = 15.0
"""How long any answer may take besides the wait that was asked for."""
ATTEMPTS: Final = 5
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 3.0
SERVER_ERROR: Final = 500
TOO_MANY_REQUESTS: Final = 429
NO_CONTENT: Final = 204

B = TypeVar("B", bound=BaseModel)


class TemporaryFailure(ControlPlaneError):
    """The server could not be reached or has trouble of its own: the same call may succeed later."""


class ControlPlane:
    """The runner's calls to the server. Every call may raise `ControlPlaneError` and what stands at its method."""

    def __init__(self, url: str, *, ca_bundle: Path | None = None) -> None:
        self._url = checked_url(url)
        self._http = httpx2.AsyncClient(
            base_url=self._url + PREFIX,
            verify=_tls(url, ca_bundle),
            trust_env=False,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=5.0),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=60.0),
            headers={VERSION_HEADER: str(PROTOCOL_VERSION), "Content-Type": "application/json"},
        )
        self._key = Secret("")

    def use_key(self, key: Secret) -> None:
        """Sign all later calls with this runner key."""
        self._key = key

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def register(self, join_token: Secret, registration: Registration) -> Registered:
        """Exchange a join token for a runner key. Raises `Unauthenticated` if the token is not known."""
        headers = {"Authorization": f"Bearer {join_token.reveal()}"}
        return _parsed(Registered, await self._call("/register", registration, headers=headers))

    async def next_lease(self, wait_seconds: float = POLL_SECONDS) -> RunLease | None:
        """Ask for work and wait for it; nothing if there was none in that time."""
        answer = await self._call(
            "/run-leases",
            headers=self._as_runner(),
            params={"wait": f"{wait_seconds:g}"},
            timeout=httpx2.Timeout(wait_seconds + ANSWER_SECONDS, connect=5.0),
        )
        return None if answer.status_code == NO_CONTENT else _parsed(RunLease, answer)

    async def next_task(self, wait_seconds: float = POLL_SECONDS) -> ConnectionTest | Sweep | KeyCheck | None:
        """Ask for something to do at a Vault and wait for it; nothing if there was nothing in that time."""
        answer = await self._call(
            "/vault-tasks",
            headers=self._as_runner(),
            params={"wait": f"{wait_seconds:g}", SWEEPS_PARAMETER: "true", KEY_CHECKS_PARAMETER: "true"},
            timeout=httpx2.Timeout(wait_seconds + ANSWER_SECONDS, connect=5.0),
        )
        if answer.status_code == NO_CONTENT:
            return None
        try:
            return decode_task(answer.content)
        except RunpassError as error:
            raise ControlPlaneError(f"The server's task is not what this runner understands: {error}") from error

    async def finish_test(self, test: ConnectionTest, report: TestReport) -> None:
        """Say what a connection test found. Raises `StaleLease` when nobody waits for it any more."""
        headers = self._as_runner() | {TASK_SECRET_HEADER: test.task_secret.reveal()}
        await self._call(f"/vault-tasks/{test.task_id}/finish", report, headers=headers)

    async def finish_sweep(self, sweep: Sweep, report: SweepReport) -> None:
        """Say what became of a token that was to be swept. Raises `StaleLease` when somebody else has the task."""
        headers = self._as_runner() | {TASK_SECRET_HEADER: sweep.task_secret.reveal()}
        await self._call(f"/vault-tasks/{sweep.task_id}/swept", report, headers=headers)

    async def finish_key_check(self, check: KeyCheck, report: KeyCheckReport) -> None:
        """Say what a Vault answered. Raises `StaleLease` when nobody waits for it any more."""
        headers = self._as_runner() | {TASK_SECRET_HEADER: check.task_secret.reveal()}
        await self._call(f"/vault-tasks/{check.task_id}/checked", report, headers=headers)

    async def heartbeat(self, lease: RunLease) -> HeartbeatAnswer:
        """Keep a run lease. One attempt only: the caller knows how much time there is. Raises `StaleLease`."""
        body = Heartbeat(fencing_token=lease.fencing_token)
        return _parsed(HeartbeatAnswer, await self._lease_call(lease, "heartbeat", body))

    async def identity_token(self, lease: RunLease, purpose: Purpose) -> IdentityToken:
        """Give a workload identity token of the run. Raises `StaleLease`."""
        body = IdentityRequest(fencing_token=lease.fencing_token, purpose=purpose)
        return _parsed(IdentityToken, await self._again(lease, "identity-token", body))

    def id_token_url(self, lease: RunLease) -> str:
        """Give where a job asks for tokens by itself. It ends with a query: GitHub's tools append `&audience=`."""
        return f"{self._url}{ID_TOKEN_PATH}/{lease.lease_id}?api-version=1"

    async def vault_login(self, lease: RunLease, login_id: UUID, given: GivenToken | None) -> None:
        """Say what a login gave; a repeat is harmless. Raises `StaleLease`."""
        report = LoginReport(fencing_token=lease.fencing_token, given=given)
        await self._again(lease, f"vault-logins/{login_id}", report)

    async def report(self, lease: RunLease, report: Report) -> None:
        """Deliver steps and log events; a repeat is harmless. Raises `StaleLease`."""
        await self._again(lease, "report", report)

    async def finish(self, lease: RunLease, finish: Finish) -> None:
        """Say the last word on a run. Raises `StaleLease`."""
        await self._again(lease, "finish", finish)

    async def _again(self, lease: RunLease, door: str, body: BaseModel) -> httpx2.Response:
        pause = FIRST_PAUSE_SECONDS
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._lease_call(lease, door, body)
            except TemporaryFailure:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter, not a secret
                pause = min(pause * 3, LONGEST_PAUSE_SECONDS)
        return await self._lease_call(lease, door, body)

    async def _lease_call(self, lease: RunLease, door: str, body: BaseModel) -> httpx2.Response:
        headers = self._as_runner() | {LEASE_SECRET_HEADER: lease.lease_secret.reveal()}
        return await self._call(f"/run-leases/{lease.lease_id}/{door}", body, headers=headers)

    def _as_runner(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key.reveal()}"}

    async def _call(
        self, path: str, body: BaseModel | None = None, *, headers: Mapping[str, str], **options: Any
    ) -> httpx2.Response:
        content = b"" if body is None else encode(body)
        try:
            answer = await self._http.post(path, content=content, headers=headers, **options)
        except httpx2.RequestError as error:
            raise TemporaryFailure(f"The server does not answer ({type(error).__name__}).") from error
        if answer.is_success:
            return answer
        raise _error(answer)


def checked_url(url: str) -> str:
    """Give the server's URL without a trailing slash.

    SECURITY: refuses clear text to anything but this machine: run leases and runner keys are secrets.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigurationError("url must be a plain http(s) URL such as https://runpass.example.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            "url must be https: what the runner gets from the server is secret",
            hint="http:// is accepted for a server on this machine only.",
        )
    return url.rstrip("/")


def _tls(url: str, ca_bundle: Path | None) -> ssl.SSLContext | bool:
    if not url.startswith("https"):
        return False  # nothing to verify, and no need to load the system's authorities
    try:
        return ssl.create_default_context(cafile=None if ca_bundle is None else str(ca_bundle))
    except OSError as error:
        raise ConfigurationError(f"ca_bundle {ca_bundle} cannot be read") from error


def _parsed(kind: type[B], answer: httpx2.Response) -> B:
    try:
        return decode(kind, answer.content)
    except RunpassError as error:
        raise ControlPlaneError(f"The server's {kind.__name__} is not what this runner understands: {error}") from error


def _error(answer: httpx2.Response) -> RunpassError:
    code, message = _envelope(answer)
    status = answer.status_code
    if status == httpx2.codes.UNAUTHORIZED:
        return Unauthenticated(message, hint="The runner's key or join token was revoked or is not known.")
    if status == httpx2.codes.FORBIDDEN:
        return Forbidden(message)
    if status == httpx2.codes.CONFLICT and code == StaleLease.code:
        return StaleLease(message)
    if status >= SERVER_ERROR or status == TOO_MANY_REQUESTS:
        return TemporaryFailure(f"The server answered {status}: {message}")
    return ControlPlaneError(f"The server answered {status}: {message}")


def _envelope(answer: httpx2.Response) -> tuple[str, str]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return "", "no explanation"
    return str(body.get("code", "")), str(body.get("message", "no explanation"))[:1_000]
