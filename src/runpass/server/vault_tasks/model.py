"""The records of this room."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from runpass.ids import CredentialId, OrganizationId, PoolId, ProjectId, RunnerId, VaultTaskId
from runpass.protocol.vault_tasks import Checked

WAITS: Final = timedelta(minutes=5)
"""How long a task waits for a runner."""
TAKES: Final = timedelta(minutes=3)
"""How long a runner may take for it."""


class TaskStatus(StrEnum):
    """What became of a task."""

    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    DONE = "DONE"
    NOT_TAKEN = "NOT_TAKEN"
    """No runner of the pool took it in time."""
    LOST = "LOST"
    """The runner that took it did not say how it went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultTask:
    """A connection test: a project's credential, seen from a runner of a pool."""

    id: VaultTaskId
    organization_id: OrganizationId
    pool_id: PoolId
    project_id: ProjectId
    credential_id: CredentialId
    runner_id: RunnerId | None
    paths: tuple[str, ...]
    checks: tuple[Checked, ...] | None
    secret_sha256: bytes | None
    requested_by: str
    created_at: datetime
    taken_at: datetime | None
    finished_at: datetime | None

    def status(self, now: datetime) -> TaskStatus:
        """Give what became of it: a task that waits or takes too long is over without anybody ending it."""
        if self.finished_at is not None:
            return TaskStatus.DONE
        if self.taken_at is not None:
            return TaskStatus.LOST if self.taken_at + TAKES <= now else TaskStatus.IN_PROGRESS
        return TaskStatus.NOT_TAKEN if self.created_at + WAITS <= now else TaskStatus.QUEUED
