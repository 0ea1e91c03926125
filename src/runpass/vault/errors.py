"""What goes wrong at a Vault, one class per thing that a person would do something different about.

VaultError                          (runpass.errors)
└── VaultFailure                    + vault_error: Vault's own words, status: the HTTP status
    ├── AddressInvalid              the address is not one that could be connected to
    ├── PathInvalid                 a path, namespace or name that Vault could not mean
    ├── ReferenceInvalid            a `${vault:...}` that does not follow the grammar
    ├── ConnectionFailed            no whole answer came back
    │   ├── Unreachable             no such host, refused, or no answer in time
    │   ├── TlsFailed               the connection could not be trusted
    │   ├── Redirected              the answer sends elsewhere; runpass does not follow
    │   ├── Sealed                  503: nobody gets anything until it is unsealed
    │   ├── RateLimited             429
    │   └── AnswerNotUnderstood     HTML, half an answer, not JSON, too large, 5xx of something in between
    ├── NamespaceNotFound           404 "namespace not found"
    ├── MountNotFound               404 "no handler for route"
    ├── RequestRefused              400 and the like: Vault says what it does not accept
    ├── TokenInvalid                403: the token is unknown, expired, revoked or used up
    ├── PolicyDenied                403: the token is fine, no policy of it allows this
    ├── SecretNotFound              404: nothing there
    │   ├── SecretDeleted           the newest version is deleted (it can be undeleted)
    │   └── SecretDestroyed         the newest version is destroyed for good
    ├── SecretKeyMissing            the secret is there, the key in it is not
    ├── SecretUnusable              the value is there, and no environment variable can hold it
    ├── SecretsUnavailable          all failed references of one read, together
    ├── SetupConflict               what exists is not what setup may change
    └── LoginRefused                the auth method said no; one class per reason in `runpass.vault.refusals`

No message carries a token, a JWT or a value of a secret. Vault's own words are bounded and escaped, and what was
sent as a secret is cut out of them.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runpass.errors import VaultError

MAX_VAULT_ERROR = 2_000
"""Characters of Vault's own words that are kept: a refused login may echo the issuer's whole answer."""


def visible(text: str, limit: int = MAX_VAULT_ERROR) -> str:
    """Give `text` safe to print: bounded, and with every control, format and separator character escaped.

    SECURITY: C0, C1, ESC and the bidirectional controls could rewrite what a terminal or a log viewer shows.
    """
    kept = text[:limit]
    shown = "".join(_escaped(character) for character in kept)
    return shown if len(text) <= limit else f"{shown}…"


def _escaped(character: str) -> str:
    if character == " " or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return character
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character) or f"\\u{ord(character):04x}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request went, for sentences: nothing in it is secret."""

    address: str
    namespace: str = ""
    path: str = ""

    def __str__(self) -> str:
        within = f" (namespace {visible(self.namespace, 255)})" if self.namespace else ""
        return f"{visible(self.address, 512)}{within}"


class VaultFailure(VaultError):
    """An error at a Vault, with Vault's own words (`vault_error`) when it answered in its own format."""

    code = "vault"
    has_arrived: bool = True
    """Whether the Vault may have had the request, and done what it asks."""

    def __init__(
        self, message: str, *, hint: str | None = None, vault_error: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.vault_error = vault_error
        self.status = status


class AddressInvalid(VaultFailure):
    """The address is not a URL that could be connected to."""

    code = "vault_address_invalid"


class PathInvalid(VaultFailure):
    """A path, mount, namespace or name that Vault could not mean."""

    code = "vault_path_invalid"


class ReferenceInvalid(VaultFailure):
    """A secret reference that does not follow the grammar; names the variable, never its text."""

    code = "secret_reference_invalid"


class ConnectionFailed(VaultFailure):
    """No whole, understandable answer came back: it says nothing about the request itself."""

    code = "vault_connection_failed"


class Unreachable(ConnectionFailed):
    """No connection: the name is unknown, the port refuses, or the answer took too long."""

    code = "vault_unreachable"


class TlsFailed(ConnectionFailed):
    """The connection could not be trusted, or is not TLS at all."""

    code = "vault_tls"


class Redirected(ConnectionFailed):
    """The answer sends elsewhere. A token is never sent to an address that nobody configured."""

    code = "vault_redirected"


class Sealed(ConnectionFailed):
    """The Vault is sealed."""

    code = "vault_sealed"


class RateLimited(ConnectionFailed):
    """A rate limit quota of the Vault, or of something in front of it, is used up."""

    code = "vault_rate_limited"


class AnswerNotUnderstood(ConnectionFailed):
    """What came back is not an answer of Vault's API."""

    code = "vault_answer_not_understood"


class NamespaceNotFound(VaultFailure):
    """The namespace does not exist."""

    code = "namespace_not_found"


class MountNotFound(VaultFailure):
    """Nothing is mounted where the path points."""

    code = "mount_not_found"


class RequestRefused(VaultFailure):
    """Vault understood the request and does not accept it."""

    code = "vault_request_refused"


class TokenInvalid(VaultFailure):
    """The token is unknown, expired, revoked or used up."""

    code = "vault_token_invalid"


class PolicyDenied(VaultFailure):
    """The token is fine, but none of its policies allows this."""

    code = "vault_policy_denied"


class SecretNotFound(VaultFailure):
    """There is nothing at this path."""

    code = "secret_not_found"


class SecretDeleted(SecretNotFound):
    """The newest version of the secret is deleted."""

    code = "secret_deleted"


class SecretDestroyed(SecretNotFound):
    """The newest version of the secret is destroyed."""

    code = "secret_destroyed"


class SecretKeyMissing(VaultFailure):
    """The secret exists and has no such key."""

    code = "secret_key_missing"


class SecretUnusable(VaultFailure):
    """The secret's value is nothing that an environment variable can hold; names where it is, never the value."""

    code = "secret_unusable"


class SecretsUnavailable(VaultFailure):
    """Every reference that could not be read, each with its own reason, in the order given.

    `failures` pairs the reference (`runpass.vault.secrets.SecretReference`) with the error that stopped it.
    """

    code = "secrets_unavailable"

    def __init__(self, failures: Sequence[tuple[Any, VaultFailure]]) -> None:
        lines = [f"{reference}: {error.message}" for reference, error in failures]
        noun = "secret" if len(lines) == 1 else "secrets"
        hints = list(dict.fromkeys(error.hint for _, error in failures if error.hint))
        words = list(dict.fromkeys(error.vault_error for _, error in failures if error.vault_error))
        super().__init__(
            f"{len(lines)} {noun} could not be read: " + "; ".join(lines),
            hint=" ".join(hints) or None,
            vault_error="; ".join(words)[:MAX_VAULT_ERROR] or None,
            status=failures[0][1].status if failures else None,
        )
        self.failures = tuple(failures)


class SetupConflict(VaultFailure):
    """What exists at the Vault is in use for something else, and setup does not change it."""

    code = "vault_setup_conflict"


class LoginRefused(VaultFailure):
    """The auth method did not accept the login; its subclasses say why."""

    code = "login_refused"
