"""Changing a deployment's state: the transition, its environment, and its audit record, in one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runpass.errors import Conflict
from runpass.observability.metrics import DEPLOYMENTS_FINISHED
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.model import Deployment, DeploymentStatus
from runpass.server.deployments.transitions import FINAL, Event, after, environment_status
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
    """Write what a new state means for the environment and the audit trail."""
    environment = environment_status(status)
    if (deployment.status, status) == (DeploymentStatus.IN_PROGRESS, DeploymentStatus.QUEUED):  # it never began
        environment = environment_status(store.last_outcome(tx, deployment.environment_id)) or EnvironmentStatus.CREATED
    if environment is not None:
        update_environment(tx, deployment.environment_id, {"status": environment.value}, now)
    detail = {"status": status.value, "environmentId": str(deployment.environment_id)}
    action = f"deployment.{status.value.lower()}"
    subject = str(deployment.id)
    record(tx, AuditEvent(now, by, action, "deployment", subject, deployment.organization_id, detail))


def count_end(deployment: Deployment, status: DeploymentStatus) -> None:
    """Count a deployment that ended. To be called once that is committed: a counter cannot be undone."""
    if status in FINAL:
        DEPLOYMENTS_FINISHED.labels(deployment.type.value, status.value).inc()
