"""Queueing what is asked for, the rule of the JSON routes and of the console: hold, remember, queue."""

from uuid import UUID

from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments.dependencies import Desk
from runpass.server.environments.deploying import check_something_left, deploy, destroy
from runpass.server.environments.holding import hold_environment
from runpass.server.environments.idempotency import Done, Remember
from runpass.server.environments.requests import Deploy, Destroy
from runpass.server.tenancy.lookup import environment_for


def queue_deploy(tx: Transaction, desk: Desk, environment_id: UUID, body: Deploy, remember: Remember) -> Done:
    """Queue a deployment. Raises as `deploy` and `hold_environment`."""
    held = hold_environment(tx, desk.caller, environment_id, Permission.RUN_PLAN, to_fill=True)
    remember(held.environment.id)
    return Done(held.environment, deploy(tx, desk, held, body))


def queue_destroy(tx: Transaction, desk: Desk, environment_id: UUID, body: Destroy, remember: Remember) -> Done:
    """Queue a destruction. Raises as `destroy` and `hold_environment`."""
    known, _ = environment_for(tx, desk.caller, environment_id, Permission.VIEW_PROJECT)
    check_something_left(known)  # before its project is asked for, which may be gone
    held = hold_environment(tx, desk.caller, environment_id, Permission.RUN_PLAN, to_fill=True)
    remember(held.environment.id)
    return Done(held.environment, destroy(tx, desk.queueing, held, body.wanted()))
