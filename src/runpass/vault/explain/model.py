"""A login to be explained, and its explanation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from runpass.secret import Secret

Server = Literal["openbao", "vault"]
OPENBAO_VERSION: Final = "2.7.2"
VAULT_VERSION: Final = "1.20.0"
MAX_SHOWN: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCase:
    """Everything that decides a login, as far as it is known.

    `role` and `config` are the `data` of a read of `auth/<mount>/role/<name>` and `auth/<mount>/config`; None: it is
    not there. `jwks` is the document behind the mount's keys; None: not known, so that the signature stays undecided.
    `at` is when, in Unix seconds.
    """

    role_name: str
    role: Mapping[str, Any] | None
    config: Mapping[str, Any] | None
    jwks: Mapping[str, Any] | None
    token: Secret
    at: float
    server: Server = "openbao"
    server_version: str = ""
    mount: str = "jwt"
    jwks_text: str = ""
    """The document behind `jwks` as it stands there: the server repeats it where it cannot read it."""
    fetch_error: str = ""
    """What the server says of its attempt to fetch the keys, where that is known to fail."""

    @property
    def version(self) -> tuple[int, ...]:
        """Give the server's version as numbers; the newest that is known where it is not said."""
        said = self.server_version or (OPENBAO_VERSION if self.server == "openbao" else VAULT_VERSION)
        parts = said.lstrip("v").split("+")[0].split("-")[0].split(".")
        return tuple(int(part) for part in parts if part.isdigit())


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of the login, in the server's order. `passed` None: it cannot be known from here."""

    name: str
    passed: bool | None
    expected: str = ""
    received: str = ""
    fix: str = ""
    errors: tuple[str, ...] = ()
    """What the server answers if this is the first check that fails; several where its order is random."""
    status: int = 400

    @property
    def kind(self) -> str:
        """Give the name without what it is about: `bound claim` of `bound claim "projectId"`."""
        return self.name.partition(' "')[0]

    def as_json(self) -> dict[str, Any]:
        """Give what is printed of it."""
        return {
            "name": self.name,
            "passed": self.passed,
            "expected": self.expected,
            "received": self.received,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the resulting token will be, as far as role and token decide it."""

    policies: tuple[str, ...]
    metadata: Mapping[str, str]
    display_name: str
    alias: str
    """The entity alias: two logins with the same one are the same entity."""
    token_type: str
    ttl_seconds: int
    """0: the mount's or the system's default, 768 hours unless somebody changed it."""
    max_ttl_seconds: int
    explicit_max_ttl_seconds: int
    period_seconds: int
    num_uses: int
    renewable: bool

    def as_json(self) -> dict[str, Any]:
        """Give what is printed of it."""
        return {
            "policies": list(self.policies),
            "metadata": dict(self.metadata),
            "displayName": self.display_name,
            "alias": self.alias,
            "tokenType": self.token_type,
            "ttlSeconds": self.ttl_seconds,
            "maxTtlSeconds": self.max_ttl_seconds,
            "explicitMaxTtlSeconds": self.explicit_max_ttl_seconds,
            "periodSeconds": self.period_seconds,
            "numUses": self.num_uses,
            "renewable": self.renewable,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Whether the login is accepted, and every reason why not, in the server's order."""

    checks: tuple[Check, ...]
    granted: Granted | None = None
    notes: tuple[str, ...] = field(default=())
    """What cannot be known offline, and would be refused all the same."""

    @property
    def first(self) -> Check | None:
        """Give the check that the server answers with."""
        return next((check for check in self.checks if check.passed is False), None)

    @property
    def accepted(self) -> bool:
        """Whether nothing that is known refuses the login."""
        return self.first is None

    @property
    def status(self) -> int:
        """Give the HTTP status."""
        return self.first.status if self.first else 200

    @property
    def error(self) -> str | None:
        """Give the text that the server answers with."""
        return self.first.errors[0] if self.first else None

    @property
    def possible_errors(self) -> tuple[str, ...]:
        """Give every text that the server may answer with: it looks at several of a kind in a random order."""
        first = self.first
        if first is None:
            return ()
        same = [check for check in self.checks if check.passed is False and check.kind == first.kind]
        return tuple(error for check in same for error in check.errors)

    def as_json(self) -> dict[str, Any]:
        """Give what `runpass vault explain --json` prints."""
        return {
            "accepted": self.accepted,
            "status": self.status,
            "error": self.error,
            "possibleErrors": list(self.possible_errors),
            "checks": [check.as_json() for check in self.checks],
            "token": self.granted.as_json() if self.granted else None,
            "notes": list(self.notes),
        }
