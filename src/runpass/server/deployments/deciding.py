"""What people decide about one deployment: approve its plan, cancel it, abort it. For the API and for pages."""

from datetime import datetime
from uuid import UUID

from runpass.errors import NotFound
from runpass.ids import DeploymentId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments import approval, store
from runpass.server.deployments.changing import change_state
from runpass.server.deployments.model import Deployment, DeploymentStatus
from runpass.server.deployments.transitions import Event
from runpass.server.tenancy.lookup import environment_for
from runpass.server.tenancy.tree_store import hold_open


def deployment_for(tx: Transaction, caller: Actor, deployment_id: UUID, permission: Permission) -> Deployment:
    """Give a deployment that the caller may use so.

    SECURITY: the environment's project decides, as it stands now, not the one that the deployment was queued in.
    """
    deployment = store.get_deployment(tx, caller.organization_id, DeploymentId(deployment_id))
    if deployment is None:
        raise NotFound("there is no such deployment")
    try:
        environment_for(tx, caller, deployment.environment_id, permission)
    except NotFound as error:
        raise NotFound("there is no such deployment") from error
    return deployment


def approve(tx: Transaction, cipher: Cipher, caller: Actor, deployment_id: UUID, now: datetime) -> Deployment:
    """Approve the plan of a deployment; give the deployment as it is then. Its pool is to be woken after the commit.

    Raises as `deployment_for` and `approval.approve`; `Conflict` where its project is archived.
    """
    deployment = deployment_for(tx, caller, deployment_id, Permission.RUN_APPLY)
    _, project = environment_for(tx, caller, deployment.environment_id, Permission.RUN_APPLY)
    hold_open(tx, project)
    approval.approve(tx, cipher, deployment, caller, now)
    return deployment_for(tx, caller, deployment_id, Permission.VIEW_PROJECT)


def end(tx: Transaction, caller: Actor, deployment_id: UUID, event: Event, now: datetime) -> Deployment:
    """Cancel or abort a deployment; give it as it is then.

    After the commit its pool is to be woken, and its end to be counted (`changing.count_end`). To abort again what is
    being aborted changes nothing. Raises as `deployment_for`; `Conflict` when it cannot be ended so.
    """
    deployment = deployment_for(tx, caller, deployment_id, Permission.ABORT_DEPLOYMENT)
    if not (event is Event.ABORT and deployment.status is DeploymentStatus.ABORTING):
        change_state(tx, deployment, event, by=caller.audit_name, now=now)
    return deployment_for(tx, caller, deployment_id, Permission.VIEW_PROJECT)
