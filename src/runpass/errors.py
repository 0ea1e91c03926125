"""The error tree. Everything runpass raises on purpose stands below `RunpassError`.

RunpassError                    code, message, hint
├── InvalidInput                one or more fields are wrong; all of them are named, no value is repeated
│   └── InvalidJson             the body is not JSON at all
├── Unauthenticated             nobody proved to be anybody
├── Forbidden                   known, but not allowed
├── NotFound                    not there, or not for this caller
├── Conflict                    the thing is not in the state this needs
│   ├── StaleLease              a report that came after its run lease was lost
│   └── AlreadyDestroyed        there is nothing left to destroy
├── PreconditionFailed          somebody else has changed the thing since the caller read it
├── TooManyRequests             one caller asks more than its share
├── NotOffered                  env0 has it, runpass does not
├── PayloadTooLarge             more bytes than this door takes
├── Unavailable                 a part is not ready: database, key, migrations
├── ConfigurationError          settings, files or directories that stop a start
├── ControlPlaneError           the runner or the command line could not talk to the server
├── JobError                    a run could not be prepared or finished
└── VaultError                  whatever went wrong at a Vault; its own branch is drawn in `runpass.vault.errors`

HTTP status codes are decided in `runpass.server.http`, exit codes in `runpass.cli`.
"""

from dataclasses import dataclass
from typing import ClassVar


class RunpassError(Exception):
    """An error with a stable `code` for programs, a `message` for people and, where known, a `hint`: the next step.

    Neither message nor hint may carry a secret or repeat a value that a caller sent.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `field` is the dotted wire name (`value.roleName`), never its value."""

    field: str
    message: str


class InvalidInput(RunpassError):
    """One or more fields are wrong."""

    code = "invalid_input"

    def __init__(self, message: str, errors: tuple[FieldError, ...] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errors = errors

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidInput":
        """Give the error for exactly one wrong field."""
        return cls(f"{field}: {message}", (FieldError(field, message),))


class InvalidJson(InvalidInput):
    """The body is not JSON, so nothing can be said about its fields."""

    code = "invalid_json"


class Unauthenticated(RunpassError):
    """The request carries no credentials, or none that are known."""

    code = "unauthenticated"


class Forbidden(RunpassError):
    """The caller is known but its roles do not allow this."""

    code = "forbidden"


class NotFound(RunpassError):
    """The thing is not there, or belongs to somebody else: both look the same from outside."""

    code = "not_found"


class Conflict(RunpassError):
    """The thing exists but is not in a state that allows this."""

    code = "conflict"


class StaleLease(Conflict):
    """A report named a run lease that was lost, ended, or taken over."""

    code = "stale_lease"


class AlreadyDestroyed(Conflict):
    """The environment was destroyed already. env0's clients expect 400 for it and take that as success."""

    code = "already_destroyed"


class PreconditionFailed(RunpassError):
    """The thing is not the one that `If-Match` names any more (RFC 9110, section 13.1.1)."""

    code = "precondition_failed"


class TooManyRequests(RunpassError):
    """One caller asks for more than its share. `retry_after_seconds` is a whole number ≥ 1."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_seconds: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class NotOffered(RunpassError):
    """Something that env0's API has and runpass deliberately does not do."""

    code = "not_offered"


class PayloadTooLarge(RunpassError):
    """The body is larger than this door takes."""

    code = "payload_too_large"


class Unavailable(RunpassError):
    """A part that this needs is not ready."""

    code = "unavailable"


class ConfigurationError(RunpassError):
    """Settings, files or directories that make a start impossible or unsafe."""

    code = "configuration"


class ControlPlaneError(RunpassError):
    """The server could not be reached, or answered something that is not its protocol."""

    code = "control_plane"


class JobError(RunpassError):
    """A run could not be prepared, run, or cleaned up."""

    code = "job"


class VaultError(RunpassError):
    """Root of all that goes wrong at a Vault."""

    code = "vault"
