"""Putting a project somewhere else in the tree, with all below it."""

from datetime import datetime
from uuid import UUID

from runpass.errors import Conflict, Forbidden, InvalidInput
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.tenancy import store, tree_store
from runpass.server.tenancy.lookup import own_organization, project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.policies import loosens, policy_of

FIELD = "targetProjectId"


def parent_for(tx: Transaction, actor: Actor, parent_id: UUID | None) -> Project | None:
    """Give the project that something is to stand below; None for the root. Raises unless the actor may put it there.

    The tree must be locked.
    """
    if parent_id is None:
        actor.require(Permission.CREATE_PROJECT, ScopePath(actor.organization_id))
        return None
    return project_for(tx, actor, parent_id, Permission.CREATE_PROJECT)


def check_depth(field: str, parent: Project | None, levels: int) -> None:
    """Raise unless so many levels fit below a parent."""
    if len(parent.path if parent else ()) + levels > tree_store.MAX_DEPTH:
        raise InvalidInput.of(field, f"projects stand at most {tree_store.MAX_DEPTH} levels deep")


def move(tx: Transaction, actor: Actor, project: Project, target_id: UUID | None, now: datetime) -> Project:
    """Put a project and all below it under another one, or at the root; give it as it stands then.

    The tree must be locked, and the project read since. Raises `InvalidInput` for a circle or a tree that is too deep,
    `Conflict` where something is archived or an assignment would lose its credential, `Forbidden` where a policy of
    others would be left behind.
    """
    target = parent_for(tx, actor, target_id)
    if project.parent_project_id == (target.id if target else None):
        return project
    if target is not None and project.id in target.path:
        raise InvalidInput.of(FIELD, "a project cannot stand below itself")
    tree_store.hold_subtree(tx, project)
    tree_store.hold_open(tx, project, *([target] if target else []))
    check_depth(FIELD, target, tree_store.levels_below(tx, project) + 1)
    _check_credentials(tx, project, target)
    check_policies(tx, actor, project, target)
    tree_store.move_subtree(tx, project, target, now)
    record(tx, _event(actor, project, target, now))
    moved = store.get_project(tx, project.organization_id, project.id)
    assert moved is not None  # noqa: S101 -- it is held
    return moved


def check_policies(tx: Transaction, actor: Actor, left: Project, target: Project | None) -> None:
    """Raise `Forbidden` if what moves from one place to another one would leave a policy behind that binds this actor.

    SECURITY: a policy counts until somebody takes it away who may. Those of the path that this actor may change do not
    bind it; of the others, none may become weaker by a move.
    """
    organization = own_organization(tx, actor)
    path = store.projects_of_path(tx, left)
    binding = [item for item in path if not actor.may(Permission.EDIT_PROJECT_SETTINGS, item.scope)]
    above = store.projects_of_path(tx, target) if target else ()
    if loosens(policy_of(organization, binding), policy_of(organization, above)):
        raise Forbidden(
            "a policy that counts where this stands is stricter than those of the target:"
            f" to leave it behind needs {Permission.EDIT_PROJECT_SETTINGS.value} where it is set"
        )


def _check_credentials(tx: Transaction, project: Project, target: Project | None) -> None:
    """SECURITY: a credential of a project is for that project and those below it, and for nobody else."""
    left = set(project.path[:-1]) - set(target.path if target else ())
    if left and tree_store.uses_credentials_of(tx, project, left):
        message = "the project, or one below it, uses a credential of a project that it would no longer stand below"
        raise Conflict(message, hint="take that assignment away first")


def _event(actor: Actor, project: Project, target: Project | None, now: datetime) -> AuditEvent:
    ends = {"fromProjectId": project.parent_project_id, "toProjectId": target.id if target else None}
    detail = {name: "" if place is None else str(place) for name, place in ends.items()}
    subject = str(project.id)
    return AuditEvent(now, actor.audit_name, "project.moved", "project", subject, project.organization_id, detail)
