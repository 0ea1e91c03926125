"""Sweeping: a runner revokes a Vault token that another run has left behind, if it is really ours.

The server knows its accessor and never connects to a Vault, so this is work for a runner, taken from the queue of
`vault_tasks` by runners that ask for it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field

from runpass.protocol.credentials import CredentialGrant
from runpass.protocol.key_checks import KeyCheck
from runpass.protocol.vault_tasks import ConnectionTest
from runpass.protocol.wire import Record, Text, decode
from runpass.secret import Secret

SWEEPS_PARAMETER: Final = "sweeps"
"""`true` in the query of a runner that takes sweeps as well as connection tests."""


class Sweep(Record):
    """Server → runner: revoke this token, if it came from this very login."""

    kind: Literal["sweep"] = "sweep"
    task_id: UUID
    task_secret: Secret
    expires_at: datetime
    grant: CredentialGrant
    """Where the token came from: address, namespace, mount and role of that login."""
    sweeper_token: Secret
    """For the role of `runpass.protocol.sweeper` in the same mount."""
    accessor: Secret
    deployment_id: UUID
    """What the token's metadata must have as `deploymentLogId`."""


class SweepResult(StrEnum):
    """What became of a token that was to be swept."""

    REVOKED = "revoked"
    ALREADY_GONE = "already-gone"
    NOT_OURS = "not-ours"
    """The accessor is that of a token from elsewhere: it was left alone, and somebody should look."""
    NOT_VERIFIABLE = "not-verifiable"
    """The token does not say which run it is of, so it was left alone."""
    FAILED = "failed"


class SweepReport(Record):
    """Runner → server, with the task's secret."""

    result: SweepResult
    said: Text = ""
    """What was seen, Vault's own words included; never a token or an accessor."""
    hint: Text | None = None


class _Kind(Record):
    kind: Annotated[str, Field(max_length=32)] = "connection-test"


def decode_task(body: bytes) -> ConnectionTest | Sweep | KeyCheck:
    """Parse what a server gives a runner to do. Raises `InvalidInput` for what is none of these."""
    kinds: dict[str, type[ConnectionTest | Sweep | KeyCheck]] = {"sweep": Sweep, "key-check": KeyCheck}
    return decode(kinds.get(decode(_Kind, body).kind, ConnectionTest), body)
