"""Who asks at the door for identity tokens: a run, known by the bearer that its runner gave to the job."""

from datetime import datetime
from typing import Final

from runpass.errors import Unauthenticated
from runpass.ids import RunLeaseId
from runpass.secret import Secret
from runpass.server.access.bearers import digest, matches
from runpass.server.db.engine import Transaction
from runpass.server.deployments import lease_store, store
from runpass.server.deployments.model import Deployment, DeploymentStatus, Lease
from runpass.server.runners.model import Runner
from runpass.server.runners.store import get_runner

REFUSED: Final = "this needs the request token of a run that goes on"
_NONE: Final = digest(Secret(""))


def asking(tx: Transaction, lease_id: RunLeaseId, bearer: Secret, now: datetime) -> tuple[Lease, Deployment, Runner]:
    """Give the lease, deployment and runner of the run that this bearer belongs to.

    Raises `Unauthenticated` with one sentence, whatever was wrong.

    SECURITY: looked up anew for every token. A run that is over or is being aborted, a lease that was lost and a runner
    that was revoked give no more tokens from that moment on, whichever server is asked.
    """
    lease = lease_store.get_lease(tx, lease_id)
    proven = matches(bearer, _NONE if lease is None else lease.id_token_sha256 or _NONE)
    if lease is None or lease.id_token_sha256 is None or not proven:
        raise Unauthenticated(REFUSED)
    run = run_of(tx, lease, now)
    if run is None:
        raise Unauthenticated(REFUSED)
    return lease, *run


def run_of(tx: Transaction, lease: Lease, now: datetime) -> tuple[Deployment, Runner] | None:
    """Give the deployment and the runner of a lease whose run goes on at this moment; None for any other lease."""
    if lease.ended_at is not None or lease.expires_at <= now:
        return None
    deployment = store.get_deployment(tx, lease.organization_id, lease.deployment_id)
    runner = get_runner(tx, lease.runner_id)
    if deployment is None or deployment.status is not DeploymentStatus.IN_PROGRESS:
        return None
    if runner is None or runner.revoked_at is not None:
        return None
    return deployment, runner
