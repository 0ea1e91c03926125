"""What a server asks a runner to do at a Vault outside of any run, and what the runner says about it.

The server never connects to a Vault, so a connection test is work for a runner, taken from a queue of its own.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from runpass.protocol.credentials import CredentialGrant
from runpass.protocol.reports import MAX_EXPLAINED, Explained
from runpass.protocol.wire import Record, Storable, Text
from runpass.secret import Secret

TASK_SECRET_HEADER = "Runpass-Task-Secret"  # noqa: S105 -- a header's name
MAX_CHECKS = 200
MAX_PATHS = 50
MAX_PATH = 512


class Verdict(StrEnum):
    """What one check of a connection came to."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It could not be found out from here."""
    SKIPPED = "skipped"
    """Something before it has to be mended first."""


class Checked(Record):
    """One check: what was looked at, what was seen, and what to do next. Never a token or a secret's value."""

    name: Annotated[str, Field(min_length=1, max_length=128), Storable]
    verdict: Verdict
    seen: Text = ""
    next_step: Text | None = None
    explained: Annotated[tuple[Explained, ...], Field(max_length=MAX_EXPLAINED)] = ()


class ConnectionTest(Record):
    """Server → runner: find out whether a project's runs could log in with a credential, and what stops them."""

    task_id: UUID
    task_secret: Secret
    expires_at: datetime
    grant: CredentialGrant
    issuer: str
    jwks_url: str
    audience: str
    paths: tuple[str, ...] = ()
    """Secrets that should be readable: `<path>.<key>` as in `${vault:…}`, or a path alone."""
    expired_token: Secret
    """All claims right, `iat = nbf = 1`, `exp = 2`: whoever accepts it accepts expired tokens."""
    login_token: Secret
    """As a run of the project would log in with."""


class TestReport(Record):
    """Runner → server, with the task's secret: the checks in the order in which they were made."""

    __test__ = False  # pytest: this is no test
    checks: Annotated[tuple[Checked, ...], Field(max_length=MAX_CHECKS)]
