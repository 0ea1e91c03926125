"""Ending lifespans: the server itself queues the destruction of environments whose time has come."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from runpass.clock import Clock
from runpass.errors import AlreadyDestroyed, Conflict, RunpassError, Unavailable
from runpass.ids import ApiKeyId, OrganizationId, PoolId, ProjectId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, Transaction
from runpass.server.deployments import store
from runpass.server.deployments.changing import count_end
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType, DeployRequest
from runpass.server.deployments.queue import LOG_BYTES, OWN_TRIGGER, Queueing
from runpass.server.deployments.transitions import FINAL
from runpass.server.environments.deploying import destroy
from runpass.server.environments.holding import Held, cancel_all, lock, note
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.environment_store import Due
from runpass.server.tenancy.model import Environment
from runpass.server.tenancy.store import get_project
from runpass.server.tenancy.tree_store import hold_open

_log = structlog.get_logger(__name__)
SYSTEM: Final = "system"
BATCH: Final = 50
AGAIN: Final = timedelta(hours=1)
"""After which the server looks whether what it destroys is gone."""
_UNFINISHED: Final = frozenset(DeploymentStatus) - FINAL
_NOBODY: Final = ApiKeyId(UUID(int=0))


@dataclass(slots=True)
class Lifespans:
    """What ending lifespans needs, and how far the last look came: one that cannot end keeps no other from its end."""

    database: Database
    cipher: Cipher
    clock: Clock
    timeout_seconds: float
    organization_log_bytes: int = LOG_BYTES
    batch: int = BATCH
    _behind: Due | None = field(default=None, init=False)

    def end_due(self) -> list[PoolId]:
        """Queue the destruction of some environments whose lifespan has ended; give the pools that have work now.

        SECURITY: an end is forgotten only when nothing is left: what was cancelled, or failed, is queued again later.
        One with a deployment going on, and one that cannot be destroyed, is tried again in the next round.
        """
        now = self.clock.now()
        with self.database.read() as tx:
            due = environment_store.list_due(tx, now, behind=self._behind, limit=self.batch)
        self._behind = _due(due[-1]) if len(due) == self.batch else None
        return [pool for environment in due if (pool := self._end(environment, now)) is not None]

    def _end(self, environment: Environment, now: datetime) -> PoolId | None:
        cancelled: list[Deployment] = []
        try:
            with self.database.write() as tx:
                queued = self._end_in(tx, environment, now, cancelled)
        except Unavailable:
            raise  # the next one would fare no better
        except RunpassError as error:
            _log.info("environment.not_ended", environment_id=str(environment.id), reason=error.message)
            return None
        except Exception:  # noqa: BLE001 -- what one environment holds must not keep the others from their end
            _log.exception("environment.not_ended", environment_id=str(environment.id))
            return None
        for deployment in cancelled:
            count_end(deployment, deployment.status)
        return queued.pool_id if queued else None

    def _end_in(
        self, tx: Transaction, environment: Environment, now: datetime, cancelled: list[Deployment]
    ) -> Deployment | None:
        project = get_project(tx, environment.organization_id, environment.project_id, deleted=True)
        if project is None:
            return None
        if project.deleted_at is None:
            hold_open(tx, project)
        environment = lock(tx, environment)
        if environment.lifespan_end_at is None or environment.lifespan_end_at > now:
            return None  # another server was faster, or somebody gave it more time
        queued, end = None, None
        if self._is_ending(tx, environment):
            end = now + AGAIN
        elif not environment.is_archived:
            cancelled += cancel_all(tx, environment.id, by=SYSTEM, now=now)
            how = self._how(environment.organization_id, project.id)
            wanted = DeployRequest(kind=DeploymentType.DESTROY, trigger=OWN_TRIGGER, comment="its lifespan has ended")
            with suppress(AlreadyDestroyed):
                queued = destroy(tx, how, Held(environment, project), wanted)
                end = now + AGAIN
        environment_store.update_environment(tx, environment.id, {"lifespan_end_at": end}, now)
        if queued is not None or end is None:
            note(tx, environment, "lifespan_ended", by=SYSTEM, now=now)
        return queued

    def _is_ending(self, tx: Transaction, environment: Environment) -> bool:
        """Whether the server is destroying it already, or waits for the approval of that."""
        unfinished = store.list_in_states(tx, environment.id, _UNFINISHED)
        return any(item.trigger == OWN_TRIGGER for item in unfinished)

    def _how(self, organization_id: OrganizationId, project_id: ProjectId) -> Queueing:
        """SECURITY: the server acts with a Deployer's rights on this project and with none anywhere else."""
        roles = {project_id: ProjectRole.DEPLOYER}
        actor = Actor(_NOBODY, SYSTEM, organization_id, OrganizationRole.USER, roles)
        return Queueing(
            actor,
            self.cipher,
            self.clock,
            self.timeout_seconds,
            self.organization_log_bytes,
            started_by=SYSTEM,
        )


def _due(environment: Environment) -> Due:
    if environment.lifespan_end_at is None:
        raise Conflict("the environment has no end")
    return environment.lifespan_end_at, environment.id
