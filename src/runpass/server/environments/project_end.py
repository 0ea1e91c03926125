"""The end of a project: the rule of the JSON route and of the console."""

from datetime import datetime
from uuid import UUID

from runpass.errors import Conflict
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Database, Transaction
from runpass.server.deployments import store
from runpass.server.deployments.changing import change_state, count_end
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.deployments.transitions import CANCELLABLE, Event
from runpass.server.http.preconditions import check_unchanged
from runpass.server.tenancy import tree_store
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project


def end_project(database: Database, caller: Actor, project_id: UUID, *, if_match: str | None, now: datetime) -> None:
    """Delete a project, archive its environments, and cancel deployments of them that no runner has taken.

    Raises `Conflict` as `check_deletable`; `PreconditionFailed` if it is not what `if_match` names.
    """
    with database.write() as tx:
        tree_store.lock_tree(tx, caller.organization_id)
        project = project_for(tx, caller, project_id, Permission.EDIT_PROJECT_SETTINGS)
        check_unchanged(if_match, project.updated_at)
        tree_store.hold_subtree(tx, project)
        check_deletable(tx, project)
        tree_store.hold_environments(tx, project.id)
        cancelled = store.hold_in_states(tx, project.id, CANCELLABLE)
        for deployment in cancelled:
            change_state(tx, deployment, Event.CANCEL, by=caller.audit_name, now=now)
        tree_store.delete_project(tx, project, now)
        subject, organization = str(project.id), project.organization_id
        record(tx, AuditEvent(now, caller.audit_name, "project.deleted", "project", subject, organization))
    for deployment in cancelled:
        count_end(deployment, DeploymentStatus.CANCELLED)


def check_deletable(tx: Transaction, project: Project) -> None:
    """Raise `Conflict` with a sentence while something stands in the way. The tree must be locked."""
    if tree_store.has_sub_projects(tx, project.id):
        raise Conflict("the project has sub-projects", hint="move or delete them first")
    if tree_store.has_own_credentials(tx, project.id):
        raise Conflict("the project has credentials of its own", hint="delete them first")
