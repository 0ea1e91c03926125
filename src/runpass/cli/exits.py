"""Exit codes: one table, which the reference documentation prints."""

from typing import Final

from runpass.errors import (
    ConfigurationError,
    Conflict,
    ControlPlaneError,
    Forbidden,
    InvalidInput,
    NotFound,
    NotOffered,
    PayloadTooLarge,
    PreconditionFailed,
    RunpassError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    VaultError,
)

OTHER: Final = 1
FOUND: Final = OTHER
USAGE: Final = 2
CHANGES: Final = USAGE
"""As `terraform plan -detailed-exitcode` says it; a wrong command line says so on standard error."""
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
CONFLICT: Final = 5
NOT_REACHED: Final = 6
VAULT: Final = 7
NOT_SUCCESSFUL: Final = 8
BROKEN_TRAIL: Final = 9
WAITS_FOR_APPROVAL: Final = 10
NOT_CURED: Final = 11
INTERRUPTED: Final = 130

MEANINGS: Final[tuple[tuple[int, str], ...]] = (
    (0, "Done. For a command that waits for a deployment: its status is `SUCCESS`."),
    (
        OTHER,
        "Something was found (`vault lint`, `doctor`, `drift`, `tokens`, `preview`), or anything else failed.",
    ),
    (
        USAGE,
        "Wrong: the command line, a setting, or a field (all are named). Or only env0 has it. `vault plan`: changes.",
    ),
    (NOT_FOUND, "The named thing is not there, or not for this API key."),
    (NOT_ALLOWED, "The API key is unknown, or its roles do not allow this."),
    (CONFLICT, "The thing is not in the state that this needs, has changed meanwhile, or the name is taken."),
    (
        NOT_REACHED,
        "The server could not be reached, is not ready, was asked too often, or answered what is not its protocol.",
    ),
    (VAULT, "Something went wrong at the Vault."),
    (NOT_SUCCESSFUL, "The deployment that was waited for ended, and not with `SUCCESS`."),
    (BROKEN_TRAIL, "The audit trail does not hold: an event was changed, is missing, or was put in."),
    (WAITS_FOR_APPROVAL, "The deployment that was waited for, or followed, waits for an approval itself."),
    (
        NOT_CURED,
        "A key that leaked may still be trusted: a step failed, or a Vault is not shown to refuse the key.",
    ),
    (INTERRUPTED, "Interrupted with Ctrl-C."),
)

_TABLE: Final[tuple[tuple[type[RunpassError], int], ...]] = (
    (InvalidInput, USAGE),
    (ConfigurationError, USAGE),
    (PayloadTooLarge, USAGE),
    (NotOffered, USAGE),
    (NotFound, NOT_FOUND),
    (Unauthenticated, NOT_ALLOWED),
    (Forbidden, NOT_ALLOWED),
    (Conflict, CONFLICT),
    (PreconditionFailed, CONFLICT),
    (TooManyRequests, NOT_REACHED),
    (Unavailable, NOT_REACHED),
    (ControlPlaneError, NOT_REACHED),
    (VaultError, VAULT),
)


def exit_code(error: RunpassError) -> int:
    """Give the exit code of an error."""
    return next((code for kind, code in _TABLE if isinstance(error, kind)), OTHER)
