"""Changing a deployment's state: the transition, its environment, and its audit record, in one transaction."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from runpass.errors import Conflict
from runpass.ids import EnvironmentId
from runpass.observability.metrics import DEPLOYMENTS_FINISHED
from runpass.protocol.run_lease import Phase
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.deployments import log_store, store
from runpass.server.deployments.model import Deployment, DeploymentStatus, DeploymentType
from runpass.server.deployments.transitions import (
    CANCELLABLE,
    FINAL,
    Event,
    after,
    environment_after,
    environment_while,
)
from runpass.server.tenancy.environment_store import update_environment
from runpass.server.tenancy.model import EnvironmentStatus


def change_state(
    tx: Transaction,
    deployment: Deployment,
    event: Event,
    *,
    by: str,
    now: datetime,
    values: Mapping[str, Any] | None = None,
) -> DeploymentStatus:
    """Let an event happen to a deployment; give its new state.

    Raises `Conflict` when the table does not allow it, or somebody was faster.
    """
    status = after(deployment.status, event)
    columns: dict[str, Any] = {**(values or {}), "status": status.value}
    if status in FINAL:
        columns["finished_at"] = now
    if not store.move(tx, deployment.id, deployment.status, columns):
        raise Conflict("the deployment has changed in the meantime", hint="read it again")
    note_state(tx, deployment, status, by=by, now=now)
    return status


def note_state(tx: Transaction, deployment: Deployment, status: DeploymentStatus, *, by: str, now: datetime) -> None:
    """Write what a new state means for the environment, the organization's usage and the audit trail."""
    became = _environment_becomes(tx, deployment, status)
    if became is not None:
        values: dict[str, Any] = {"status": became.value}
        if (status, deployment.type) == (DeploymentStatus.SUCCESS, DeploymentType.DESTROY):
            # env0's clients wait for it before they delete the project.
            values |= {"is_archived": True, "lifespan_end_at": None}
        update_environment(tx, deployment.environment_id, values, now)
    if status in FINAL:
        log_store.count_usage(tx, deployment.organization_id, deployment.log_bytes)
    detail = {"status": status.value, "environmentId": str(deployment.environment_id)}
    action = f"deployment.{status.value.lower()}"
    subject = str(deployment.id)
    record(tx, AuditEvent(now, by, action, "deployment", subject, deployment.organization_id, detail))


def cancel_waiting(tx: Transaction, environment_id: EnvironmentId, *, by: str, now: datetime) -> list[Deployment]:
    """Cancel every deployment of an environment that no runner has taken; give them as they are then.

    To be counted with `count_end` once that is committed.
    """
    cancelled = []
    for deployment in store.list_in_states(tx, environment_id, CANCELLABLE):
        status = change_state(tx, deployment, Event.CANCEL, by=by, now=now)
        cancelled.append(replace(deployment, status=status))
    return cancelled


def _environment_becomes(tx: Transaction, deployment: Deployment, status: DeploymentStatus) -> EnvironmentStatus | None:
    """Give the environment's new state, or None where it stays as it is."""
    before = deployment.status
    if before is DeploymentStatus.QUEUED and status is not DeploymentStatus.IN_PROGRESS:
        return None  # it was queued or cancelled: whatever the environment is, is not its doing
    if status not in FINAL and status is not DeploymentStatus.QUEUED:
        return environment_while(status, deployment.type)
    own = environment_after(status, deployment.type)
    if own is not None and deployment.phase is not Phase.PLAN:
        return own
    # A task, a plan or one that never began has changed nothing: what the last deploy or destroy made of it counts.
    last = store.last_outcome(tx, deployment.environment_id)
    earlier = environment_after(*last) if last else None
    return earlier or own or EnvironmentStatus.CREATED


def count_end(deployment: Deployment, status: DeploymentStatus) -> None:
    """Count a deployment that ended. To be called once that is committed: a counter cannot be undone."""
    if status in FINAL:
        DEPLOYMENTS_FINISHED.labels(deployment.type.value, status.value).inc()
