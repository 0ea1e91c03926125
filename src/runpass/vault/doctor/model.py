"""What is examined, with what, and what came out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from runpass.secret import Secret
from runpass.vault.errors import visible
from runpass.vault.transport import Tls

MAX_TEXT: Final = 1_000
MAX_SECRETS: Final = 50


class Verdict(StrEnum):
    """What one check came to."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It could not be found out from here."""
    SKIPPED = "skipped"
    """Something before it has to be mended, or given, first."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One step of the Vault's decision about a token: what the role wants, and what the token says."""

    name: str
    passed: bool | None
    expected: str
    received: str
    fix: str

    def to_json(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "name": self.name,
            "passed": self.passed,
            "expected": self.expected,
            "received": self.received,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: what was looked at, what was seen, what to do next. Never a token or a value of a secret.

    `explained` holds what a role expects: it is for those who may see the role.
    """

    check: str
    verdict: Verdict
    seen: str
    next_step: str = ""
    explained: tuple[Explained, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "seen": self.seen,
            "nextStep": self.next_step or None,
            "explained": [item.to_json() for item in self.explained],
        }


def result(check: str, verdict: Verdict, seen: str, next_step: str = "") -> CheckResult:
    """Give a result with its texts bounded and safe to print: others wrote a part of them."""
    return CheckResult(check, verdict, visible(seen, MAX_TEXT), visible_lines(next_step))


def visible_lines(text: str) -> str:
    """Give a text that may hold a command of several lines: bounded, and each line safe to print."""
    return "\n".join(visible(line, MAX_TEXT) for line in text[: 2 * MAX_TEXT].split("\n"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorTarget:
    """A Vault, and how a run would use it: the fields of a credential, in Vault's words."""

    address: str
    role: str
    mount: str = "jwt"
    namespace: str = ""
    secret_namespace: str | None = None
    """None: secrets are in the namespace of the auth method."""
    tls: Tls = field(default_factory=Tls)
    secrets: tuple[str, ...] = ()
    """Secrets that should be readable: `<path>.<key>`, with `@<namespace>` if need be, or a path alone."""

    @property
    def reading_namespace(self) -> str:
        """Give the namespace that secrets are read in."""
        return self.namespace if self.secret_namespace is None else self.secret_namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTokens:
    """Identity tokens of the credential, from the control plane; None for what nobody could mint."""

    expired: Secret | None = None
    """All claims right, `iat = nbf = 1`, `exp = 2`: it must be refused as expired, and for no other reason."""
    login: Secret | None = None
    """As a run would log in with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the control plane knows of the credential's tokens, to be compared with role and config."""

    issuer: str
    jwks_url: str
    own_jwks_url: str | None = None
    """Where the same keys stand for this Vault alone; it may fetch either."""
    audience: str
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Claims whose values are known; several where several runs differ (`projectId`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What helps to explain, and is not needed to look."""

    operator_token: Secret | None = None
    """May read roles and config, if there is one. SECURITY: only for an address that its owner has named."""
    expected: Expected | None = None
    jwks: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long it may take: one request, and all together."""

    request_seconds: float = 5.0
    total_seconds: float = 90.0
