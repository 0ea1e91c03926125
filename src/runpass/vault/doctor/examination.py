"""One examination: the target, what is known by now, and the tokens that have to be revoked whatever happens."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

from runpass.clock import Clock
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.doctor.model import DoctorTarget, Knowledge, Limits, ProbeTokens, Verdict
from runpass.vault.errors import VaultFailure
from runpass.vault.lint.reading import Reading
from runpass.vault.login import jwt_login
from runpass.vault.session import Revocation, VaultSession

TRIES = 3


@dataclass(slots=True)
class Server:
    """What the Vault says of itself."""

    kind: str = "openbao"
    version: str = ""


@dataclass(slots=True)
class Examination:
    """State that checks hand on. Leaving it as a context manager revokes every token and closes the connections."""

    target: DoctorTarget
    tokens: ProbeTokens
    knowledge: Knowledge
    limits: Limits
    clock: Clock
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    host: str = ""
    port: int = 0
    ip: str = ""
    ips: tuple[str, ...] = ()
    server: Server = field(default_factory=Server)
    server_time: int | None = None
    session: VaultSession | None = None
    """The login that secrets are read with."""
    reading: Reading | None = None
    sessions: list[VaultSession] = field(default_factory=list)
    _client: VaultClient | None = None
    _ends: float = 0.0

    def __enter__(self) -> Self:
        self._ends = self.clock.monotonic() + self.limits.total_seconds
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for session in self.sessions:  # what is revoked already stays so
                with suppress(VaultFailure):
                    revoke(session)
        finally:
            if self._client is not None:
                self._client.close()

    @property
    def is_over(self) -> bool:
        """Whether the time of all checks together is used up."""
        return self.clock.monotonic() >= self._ends

    @property
    def client(self) -> VaultClient:
        """Give the Vault in the auth method's namespace, without a token."""
        if self._client is None:
            target = self.target
            self._client = VaultClient(
                target.address, namespace=target.namespace, tls=target.tls, timeout=self.limits.request_seconds
            )
        return self._client

    @property
    def is_clear_text(self) -> bool:
        """Whether what is sent to the Vault crosses a network unencrypted."""
        return self.target.address.lower().startswith("http:") and not is_loopback(self.host)

    def log_in(self, jwt: Secret) -> VaultSession:
        """Log in, and keep the token in mind for the end; raises the `VaultFailure` that says why not."""
        granted = jwt_login(self.client, mount=self.target.mount, role=self.target.role, jwt=jwt)
        session = VaultSession(self.client, granted)
        self.sessions.append(session)
        return session

    def readers(self) -> Iterator[VaultClient]:
        """Give the clients that may be able to read the role: the operator's, and the run's."""
        # SECURITY: an operator's token may do anything; it does not cross a network unencrypted.
        if self.knowledge.operator_token is not None and not self.is_clear_text:
            yield self.client.with_token(self.knowledge.operator_token)
        if self.session is not None:
            yield self.session.client

    @property
    def role(self) -> Mapping[str, Any] | None:
        """Give the role as the Vault reads it back, if anybody could read it."""
        return None if self.reading is None else self.reading.facts.roles.get(self.target.role.lower())


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def revoke(session: VaultSession) -> Revocation:
    """Revoke a token, again if the Vault does not answer; raises the last `VaultFailure`."""
    for _ in range(TRIES - 1):
        with suppress(VaultFailure):
            return session.revoke()
    return session.revoke()
