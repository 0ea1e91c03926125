"""The route that deletes a project. It lives here because it cancels what is queued in the project."""

from uuid import UUID

from fastapi import APIRouter

from runpass.errors import Conflict
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.changing import change_state, count_end
from runpass.server.deployments.dependencies import AtDesk
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.deployments.transitions import CANCELLABLE, Event
from runpass.server.http.preconditions import IfMatch, check_unchanged
from runpass.server.tenancy import tree_store
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project

router = APIRouter(prefix="/projects", tags=["Projects"])


@router.delete("/{project_id}", status_code=204)
def delete(project_id: UUID, desk: AtDesk, if_match: IfMatch = None) -> None:
    """Delete a project that has no sub-projects and no credentials of its own.

    Its environments are archived, and deployments that no runner has taken are cancelled; others run to their end.
    """
    caller, now = desk.caller, desk.clock.now()
    with desk.database.write() as tx:
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
