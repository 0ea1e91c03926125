"""Secrets that turned up, masked, in the output of a deployment: kept by name and step, and told in the audit trail."""

from collections.abc import Sequence
from datetime import datetime

from runpass.protocol.reports import MAX_LEAKS, Leak
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.reporting import named


def keep_leaks(tx: Transaction, deployment: Deployment, reported: Sequence[Leak], *, by: str, now: datetime) -> int:
    """Store what is new of a report's leaks, each pair of secret and step once, up to `MAX_LEAKS`; give how many."""
    kept = [leak.model_copy(update={"step": named(leak.step, deployment.phase)}) for leak in reported]
    new = [leak for leak in dict.fromkeys(kept) if leak not in deployment.leaks]
    new = new[: max(MAX_LEAKS - len(deployment.leaks), 0)]
    if not new:
        return 0
    store.save_leaks(tx, deployment.id, [*deployment.leaks, *new])
    for leak in new:
        detail = {"secret": leak.secret, "step": leak.step, "environmentId": str(deployment.environment_id)}
        subject = str(deployment.id)
        record(tx, AuditEvent(now, by, "secret.leaked", "deployment", subject, deployment.organization_id, detail))
    return len(new)
