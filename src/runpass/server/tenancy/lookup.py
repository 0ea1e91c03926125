"""Getting a thing of this room for a caller: found, allowed, or the right error."""

from uuid import UUID

from runpass.errors import Conflict, NotFound
from runpass.ids import EnvironmentId, ProjectId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.tenancy import environment_store, store
from runpass.server.tenancy.model import Environment, Organization, Project
from runpass.server.tenancy.policies import Policy, policy_of
from runpass.server.tenancy.tree_store import hold_open

_AFTER_THE_END = frozenset({Permission.VIEW_PROJECT, Permission.ABORT_DEPLOYMENT})
"""What can still be done with environments whose project was deleted."""


def own_organization(tx: Transaction, actor: Actor) -> Organization:
    """Give the caller's own organization."""
    organization = store.get_organization(tx, actor.organization_id)
    if organization is None:
        raise NotFound("the organization is gone")
    return organization


def project_for(tx: Transaction, actor: Actor, project_id: UUID, permission: Permission) -> Project:
    """Give a project that this actor may use so.

    Raises `NotFound` for one that is absent, deleted, foreign, or invisible to the actor; `Forbidden` where it may only
    look.
    """
    return _allowed(actor, store.get_project(tx, actor.organization_id, ProjectId(project_id)), permission)


def open_project_for(tx: Transaction, actor: Actor, project_id: UUID, permission: Permission) -> Project:
    """Give a project that this actor may make something in, and keep it so until the transaction ends.

    Raises as `project_for`; `Conflict` where it, or one above it, is archived.
    """
    project = project_for(tx, actor, project_id, permission)
    hold_open(tx, project)
    return project


def environment_for(
    tx: Transaction, actor: Actor, environment_id: UUID, permission: Permission
) -> tuple[Environment, Project]:
    """Give an environment that this actor may use so, with its project, which may have been deleted since.

    Raises as `project_for`; `Conflict` for anything but looking and aborting when the project was deleted.
    """
    environment = environment_store.get_environment(tx, actor.organization_id, EnvironmentId(environment_id))
    if environment is None:
        raise NotFound("there is no such environment")
    found = store.get_project(tx, actor.organization_id, environment.project_id, deleted=True)
    try:
        project = _allowed(actor, found, permission)
    except NotFound as error:
        raise NotFound("there is no such environment") from error
    if project.deleted_at is not None and permission not in _AFTER_THE_END:
        raise Conflict("the environment's project was deleted")
    return environment, project


def policy_at(tx: Transaction, organization: Organization, project: Project) -> Policy:
    """Give what the policies of the organization and of the projects down to this one come to."""
    return policy_of(organization, store.projects_of_path(tx, project))


def _allowed(actor: Actor, project: Project | None, permission: Permission) -> Project:
    if project is None or not actor.may(Permission.VIEW_PROJECT, project.scope):
        raise NotFound("there is no such project")
    actor.require(permission, project.scope)
    return project
