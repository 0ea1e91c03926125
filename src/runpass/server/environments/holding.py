"""Holding an environment until the end of a transaction: locks, always in one order, so that nobody waits in a circle.

First the projects, then the environment, then its deployments. A runner that takes a deployment has locked that one
and then wants the environment: so deployments are never waited for, and a caller who meets one being taken is told.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from runpass.errors import Conflict
from runpass.ids import EnvironmentId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.deployments import deployments
from runpass.server.deployments import store
from runpass.server.deployments.changing import cancel_waiting
from runpass.server.deployments.model import Deployment, DeploymentStatus
from runpass.server.deployments.transitions import CANCELLABLE, FINAL
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.lookup import environment_for
from runpass.server.tenancy.model import Environment, Project
from runpass.server.tenancy.tree_store import hold_open

_UNFINISHED = frozenset(DeploymentStatus) - FINAL


@dataclass(frozen=True, slots=True)
class Held:
    """An environment that nobody else decides about, and its project."""

    environment: Environment
    project: Project


def hold_environment(
    tx: Transaction, actor: Actor, environment_id: UUID, permission: Permission, *, to_fill: bool = False
) -> Held:
    """Give an environment that this actor may use so, and keep it so.

    `to_fill`: its project too must be open, and stay so. Raises as `environment_for`.
    """
    environment, project = environment_for(tx, actor, environment_id, permission)
    if to_fill:
        hold_open(tx, project)
    return Held(lock(tx, environment), project)


def lock(tx: Transaction, environment: Environment) -> Environment:
    """Lock an environment and give it as it is then. Raises `Conflict` if it was moved meanwhile."""
    environment_store.lock_environment(tx, environment.id)
    current = environment_store.get_environment(tx, environment.organization_id, environment.id)
    if current is None or current.project_id != environment.project_id:
        raise Conflict("the environment was moved at the same moment", hint="read it again and repeat")
    return current


def check_idle(tx: Transaction, environment_id: EnvironmentId) -> None:
    """Raise `Conflict` while a deployment is queued, waiting or going on. The environment must be locked."""
    if store.list_in_states(tx, environment_id, _UNFINISHED):
        raise Conflict("a deployment of this environment has not ended", hint="wait for its end, or cancel it")


def cancel_all(tx: Transaction, environment_id: EnvironmentId, *, by: str, now: datetime) -> list[Deployment]:
    """Cancel what no runner has taken, and give it. The environment must be locked.

    Raises `Conflict` while a deployment is going on, or is being taken at this very moment.
    """
    mine = (deployments.c.environment_id == environment_id) & deployments.c.status.in_([s.value for s in _UNFINISHED])
    free = set(tx.execute(select(deployments.c.id).where(mine).with_for_update(skip_locked=True)).scalars())
    unfinished = store.list_in_states(tx, environment_id, _UNFINISHED)
    if any(item.id not in free or item.status not in CANCELLABLE for item in unfinished):
        raise Conflict("a deployment of this environment is going on", hint="wait for its end, or abort it")
    return cancel_waiting(tx, environment_id, by=by, now=now)


def note(
    tx: Transaction,
    environment: Environment,
    action: str,
    *,
    by: str,
    now: datetime,
    detail: dict[str, str] | None = None,
) -> None:
    """Write into the audit trail what was done to an environment."""
    subject = str(environment.id)
    said = {"name": environment.name} | (detail or {})
    record(tx, AuditEvent(now, by, f"environment.{action}", "environment", subject, environment.organization_id, said))
