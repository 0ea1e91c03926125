"""The records of this room."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runpass.ids import OrganizationId, PoolId, ProjectId, RunnerId
from runpass.protocol.registration import Isolation

DEFAULT_POOL = "default"
IN_TOUCH: Final = timedelta(minutes=2)
"""A runner that is well asks for work more often than this."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A registered runner. One without isolation is bound to the project of its first run, for good."""

    id: RunnerId
    organization_id: OrganizationId
    pool_id: PoolId
    pool: str
    bound_project_id: ProjectId | None
    name: str
    version: str
    isolation: Isolation
    capacity: int
    created_at: datetime
    last_seen_at: datetime
    revoked_at: datetime | None

    @property
    def audit_name(self) -> str:
        """Give the name the audit trail knows this runner by."""
        return f"runner:{self.id}"

    @property
    def is_unisolated(self) -> bool:
        """Whether what it runs could reach whatever ran there before, so that it serves a single project."""
        return self.isolation is Isolation.NONE

    @property
    def only_project_id(self) -> ProjectId | None:
        """Give the one project that it may still work for, or nothing where it may work for all of its pool."""
        return self.bound_project_id if self.is_unisolated else None
