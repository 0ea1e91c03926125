"""Letting a project use a credential, and taking it away: the rules of both doors, API and console."""

from datetime import datetime
from uuid import UUID

from runpass.errors import Conflict, InvalidInput, NotFound
from runpass.ids import AssignmentId, CredentialId, new_id
from runpass.protocol.credentials import COST_KINDS
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.audit import record
from runpass.server.credentials import choice_store, store
from runpass.server.credentials.events import credential_event
from runpass.server.credentials.model import Assignment, StoredCredential
from runpass.server.credentials.store import Hold
from runpass.server.db.engine import Transaction
from runpass.server.tenancy.lookup import open_project_for, project_for
from runpass.server.tenancy.model import Project


def assign_credential(
    tx: Transaction, actor: Actor, project_id: UUID, credential_id: UUID, now: datetime
) -> Assignment:
    """Let a project use a credential; give the assignment, which may have been there before.

    Raises `NotFound`, `Forbidden`; `InvalidInput` for a kind that no deployment gets; `Conflict` where the project, or
    one above it, is archived.
    """
    project = open_project_for(tx, actor, project_id, Permission.MANAGE_CREDENTIALS)
    credential = _assignable(tx, actor, credential_id, project)
    new = Assignment(AssignmentId(new_id()), actor.organization_id, credential.id, project.id, actor.audit_name, now)
    if store.insert_assignment(tx, new):
        record(tx, credential_event(credential, actor, "credential.assigned", now, {"projectId": str(project.id)}))
        return new
    found = store.get_assignment(tx, credential.id, project.id)
    if found is None:
        raise Conflict("the assignment was taken away at the same moment", hint="repeat the request")
    return found


def unassign_credential(tx: Transaction, actor: Actor, project_id: UUID, credential_id: UUID, now: datetime) -> None:
    """Take a credential away from a project. Raises `NotFound` where it is not assigned to exactly this one."""
    project, credential = assigned_here(tx, actor, project_id, credential_id)
    if not store.delete_assignment(tx, credential.id, project.id):
        raise _not_assigned()
    record(tx, credential_event(credential, actor, "credential.unassigned", now, {"projectId": str(project.id)}))


def assigned_here(
    tx: Transaction, actor: Actor, project_id: UUID, credential_id: UUID
) -> tuple[Project, StoredCredential]:
    """Give a project and a credential that is assigned to it and that this actor may take away. Raises as above."""
    project = project_for(tx, actor, project_id, Permission.MANAGE_CREDENTIALS)
    credential = store.get_credential(tx, actor.organization_id, CredentialId(credential_id))
    if credential is None or store.get_assignment(tx, credential.id, project.id) is None:
        raise _not_assigned()
    return project, credential


def choices(tx: Transaction, actor: Actor, project: Project, name: str, limit: int) -> list[StoredCredential]:
    """Give credentials that this actor could assign to a project and that are not yet, by name.

    SECURITY: only those that the actor may see in a list; another one of the organization can be assigned by its id.
    """
    return choice_store.not_assigned(tx, project, owners(actor, project), name, limit)


def owners(actor: Actor, project: Project) -> choice_store.Owners:
    """Give whose credentials, of those that a project could use, this actor may see."""
    organization = ScopePath(project.organization_id)
    return choice_store.Owners(
        with_organizations=actor.may(Permission.VIEW_CREDENTIALS, organization),
        projects=tuple(
            owner
            for place, owner in enumerate(project.path, start=1)
            if actor.may(Permission.VIEW_CREDENTIALS, ScopePath(project.organization_id, project.path[:place]))
        ),
    )


def _assignable(tx: Transaction, actor: Actor, credential_id: UUID, project: Project) -> StoredCredential:
    # An organization's credential is for all its projects: whoever manages a project's credentials may take it, by id.
    credential = store.get_credential(tx, actor.organization_id, CredentialId(credential_id), Hold.DELETION)
    if credential is None or not (credential.project_id is None or credential.project_id in project.path):
        raise NotFound("there is no such credential for this project")
    if credential.kind in COST_KINDS:
        raise InvalidInput.of("credentialId", f"{credential.kind.value} is for cost estimation, not for deployments")
    return credential


def _not_assigned() -> NotFound:
    return NotFound("this credential is not assigned to this project")
