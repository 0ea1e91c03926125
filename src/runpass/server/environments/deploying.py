"""Deploying and destroying environments: what a request changes about them, and then the queue."""

from dataclasses import replace
from datetime import datetime

from runpass.errors import AlreadyDestroyed, Conflict, Forbidden
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.dependencies import Desk
from runpass.server.deployments.model import Deployment, DeploymentType, DeployRequest
from runpass.server.deployments.queue import Queueing, queue_deployment
from runpass.server.environments.holding import Held, note
from runpass.server.environments.lifespans import Ttl, as_asked, lifespan_end
from runpass.server.environments.requests import Deploy
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.lookup import own_organization, policy_at
from runpass.server.tenancy.model import Environment, EnvironmentStatus, Project
from runpass.server.variables.referring import check_references
from runpass.server.variables.requests import Changes
from runpass.server.variables.saving import apply_changes


def deploy(tx: Transaction, desk: Desk, held: Held, body: Deploy) -> Deployment:
    """Queue what a request asks for; give it. Raises as `queue_deployment` and `destroy`."""
    environment, project = held.environment, held.project
    if environment.is_archived and body.kind is not DeploymentType.DESTROY:
        raise Conflict("the environment is archived", hint="unarchive it first")
    if body.kind is DeploymentType.DESTROY:
        check_something_left(held.environment)
    changed = save_changes(tx, desk, held, body.configuration_changes, where="configurationChanges")
    values = _decided(tx, desk, held, body.ttl)
    wanted = body.wanted(changed_variables=changed)
    if wanted.kind is not DeploymentType.DEPLOY:
        wanted = _as_last_deployed(tx, environment, wanted)
    queued = queue_deployment(tx, desk.queueing, environment, project, wanted)
    if wanted.kind is DeploymentType.DEPLOY and queued.template_id != environment.template_id:
        values["template_id"] = queued.template_id
    if values:
        environment_store.update_environment(tx, environment.id, values, desk.clock.now())
    if body.ttl is not None:
        note_ttl(tx, environment, values["lifespan_end_at"], by=desk.caller.audit_name, now=desk.clock.now())
    return queued


def note_ttl(tx: Transaction, environment: Environment, end: object, *, by: str, now: datetime) -> None:
    """Write into the audit trail that somebody decided when an environment ends."""
    told = end.isoformat() if isinstance(end, datetime) else ""
    note(tx, environment, "ttl_changed", by=by, now=now, detail={"lifespanEndAt": told})


def destroy(tx: Transaction, how: Queueing, held: Held, wanted: DeployRequest) -> Deployment:
    """Queue the destruction of an environment; give it.

    Raises `AlreadyDestroyed` where nothing is left, and as `queue_deployment`.
    """
    check_something_left(held.environment)
    return queue_deployment(tx, how, held.environment, held.project, _as_last_deployed(tx, held.environment, wanted))


def check_something_left(environment: Environment) -> None:
    """Raise `AlreadyDestroyed` where there is nothing to destroy."""
    if environment.is_archived or environment.status is EnvironmentStatus.INACTIVE:
        raise AlreadyDestroyed("the environment was destroyed or archived already")
    if environment.template_id is None:
        raise AlreadyDestroyed("the environment has no template: nothing was ever deployed")


def save_changes(tx: Transaction, desk: Desk, held: Held, changes: Changes | None, *, where: str) -> bool:
    """Save a request's variables as variables of the environment (env0's `DEPLOYMENT`); whether there were any.

    SECURITY: a plan hands its variables to the code, so who may only plan changes none.
    """
    if not changes:
        return False
    if not desk.caller.may(Permission.RUN_APPLY, held.project.scope):
        raise Forbidden(f"to change variables needs the permission {Permission.RUN_APPLY.value}")
    environment = held.environment
    wanted = [item.change(environment.id, where=f"{where}.{position}.") for position, item in enumerate(changes)]
    check_references(tx, desk.caller, [item.wanted for item in wanted if not item.to_delete])
    apply_changes(tx, desk.cipher, environment, wanted, by=desk.caller.audit_name, clock=desk.clock)
    return True


def lifespan_for(
    tx: Transaction, actor: Actor, project: Project, ttl: Ttl | None, now: datetime, *, where: str = "ttl."
) -> datetime | None:
    """Give when an environment of this project ends whose life begins now. Raises as `lifespan_end`."""
    return lifespan_end(ttl, policy_at(tx, own_organization(tx, actor), project), now, where=where)


def _decided(tx: Transaction, desk: Desk, held: Held, ttl: Ttl | None) -> dict[str, object]:
    """Give what a deployment decides about the lifespan: a destroyed environment that is deployed again begins anew."""
    begins = held.environment.status is EnvironmentStatus.INACTIVE
    if ttl is None and not begins:
        return {}
    if ttl is not None:
        desk.caller.require(Permission.EDIT_ENVIRONMENT_SETTINGS, held.project.scope)
    end = lifespan_for(tx, desk.caller, held.project, ttl, desk.clock.now())
    return {"lifespan_end_at": end, "settings": {**held.environment.settings, **as_asked(ttl)}}


def _as_last_deployed(tx: Transaction, environment: Environment, wanted: DeployRequest) -> DeployRequest:
    """Give the request with the revision text of the last deploy, which is what env0's clients compare."""
    last = store.last_deploy(tx, environment.id)
    if last is None or wanted.revision:
        return wanted
    return replace(wanted, revision=last.revision)
