"""Getting a thing of this room for a caller: found, allowed, or the right error."""

from uuid import UUID

from runpass.errors import NotFound
from runpass.ids import EnvironmentId, ProjectId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.tenancy import environment_store, store
from runpass.server.tenancy.model import Environment, Organization, Project


def own_organization(tx: Transaction, actor: Actor) -> Organization:
    """Give the caller's own organization."""
    organization = store.get_organization(tx, actor.organization_id)
    if organization is None:
        raise NotFound("the organization is gone")
    return organization


def project_for(tx: Transaction, actor: Actor, project_id: UUID, permission: Permission) -> Project:
    """Give a project that this actor may use so.

    Raises `NotFound` for one that is absent, foreign, or invisible to the actor; `Forbidden` where it may only look.
    """
    project = store.get_project(tx, actor.organization_id, ProjectId(project_id))
    if project is None or not actor.may(Permission.VIEW_PROJECT, project.scope):
        raise NotFound("there is no such project")
    actor.require(permission, project.scope)
    return project


def environment_for(
    tx: Transaction, actor: Actor, environment_id: UUID, permission: Permission
) -> tuple[Environment, Project]:
    """Give an environment that this actor may use so, with its project. Raises as `project_for`."""
    environment = environment_store.get_environment(tx, actor.organization_id, EnvironmentId(environment_id))
    if environment is None:
        raise NotFound("there is no such environment")
    try:
        return environment, project_for(tx, actor, environment.project_id, permission)
    except NotFound as error:
        raise NotFound("there is no such environment") from error
