"""JSON routes of credentials and their assignment. Paths and fields are env0's."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import model_validator

from runpass.errors import InvalidInput, NotFound
from runpass.ids import AssignmentId, CredentialId, new_id
from runpass.protocol.credentials import CredentialKind, VaultOidc
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.credentials import store
from runpass.server.credentials.model import Assignment, StoredCredential
from runpass.server.credentials.rules import check_clear_text
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Moment, Name
from runpass.server.tenancy.lookup import own_organization, project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.store import get_project, list_projects

router = APIRouter(prefix="/credentials", tags=["Credentials"])


class CreateCredential(ApiModel):
    """Request: a new credential, of the organization or of one project."""

    name: Name
    type: Literal["VAULT_OIDC"]
    value: VaultOidc
    organization_id: UUID | None = None
    project_id: UUID | None = None

    @model_validator(mode="after")
    def _one_scope(self) -> "CreateCredential":
        if (self.organization_id is None) == (self.project_id is None):
            raise ValueError("exactly one of organizationId and projectId is required")
        return self


class ChangeCredential(ApiModel):
    """Request: the whole new value of a credential. The name stays."""

    type: Literal["VAULT_OIDC"]
    value: VaultOidc


class CredentialAnswer(ApiModel):
    """Response: a credential. `value` is never given back."""

    id: UUID
    name: str
    type: CredentialKind
    organization_id: UUID
    project_id: UUID | None = None
    value: None = None
    created_by: str
    created_at: Moment
    updated_at: Moment


class AssignmentAnswer(ApiModel):
    """Response: an assignment."""

    id: UUID
    credential_id: UUID
    project_id: UUID


class AssignedCredentials(ApiModel):
    """Response: what is assigned to exactly one project."""

    credential_ids: list[UUID]


@router.get("")
def list_all(
    organization_id: Annotated[UUID, Query(alias="organizationId")], caller: Caller, db: Db
) -> list[CredentialAnswer]:
    """List the credentials of both scopes that the caller may see."""
    if organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    with db.read() as tx:
        found = store.list_credentials(tx, caller.organization_id)
        scopes = {project.id: project.scope for project in list_projects(tx, caller.organization_id)}
    whole = ScopePath(caller.organization_id)
    return [
        _answer(item)
        for item in found
        if caller.may(Permission.VIEW_CREDENTIALS, scopes.get(item.project_id, whole) if item.project_id else whole)
    ]


@router.post("", status_code=201)
def create(body: CreateCredential, caller: Caller, db: Db, clock: Now) -> CredentialAnswer:
    """Make a credential."""
    now = clock.now()
    with db.write() as tx:
        project = _authorize_scope(tx, caller, body)
        check_clear_text(body.value, own_organization(tx, caller))
        credential = StoredCredential(
            id=CredentialId(new_id()),
            organization_id=caller.organization_id,
            project_id=project.id if project else None,
            name=body.name,
            kind=CredentialKind(body.type),
            value=body.value,
            created_by=caller.audit_name,
            created_at=now,
            updated_at=now,
        )
        store.insert_credential(tx, credential)
        record(tx, _event(credential, caller, "credential.created", now))
    return _answer(credential)


@router.patch("/{credential_id}")
def change(credential_id: UUID, body: ChangeCredential, caller: Caller, db: Db, clock: Now) -> CredentialAnswer:
    """Replace a credential's value."""
    now = clock.now()
    with db.write() as tx:
        credential = _manageable(tx, caller, credential_id)
        if credential.kind != body.type:
            raise InvalidInput.of("type", "the type of a credential cannot be changed")
        check_clear_text(body.value, own_organization(tx, caller))
        store.change_value(tx, credential.id, body.value, now)
        record(tx, _event(credential, caller, "credential.changed", now))
        return _answer(_manageable(tx, caller, credential_id))


@router.delete("/{credential_id}", status_code=204)
def delete(credential_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Delete a credential and its assignments; the next deployment runs without it."""
    with db.write() as tx:
        credential = _manageable(tx, caller, credential_id)
        store.delete_credential(tx, credential.id)
        record(tx, _event(credential, caller, "credential.deleted", clock.now()))


@router.put("/deployment/{credential_id}/project/{project_id}")
def assign(credential_id: UUID, project_id: UUID, caller: Caller, db: Db, clock: Now) -> AssignmentAnswer:
    """Let a project use a credential. Doing it twice changes nothing."""
    now = clock.now()
    with db.write() as tx:
        project = project_for(tx, caller, project_id, Permission.MANAGE_CREDENTIALS)
        credential = store.get_credential(tx, caller.organization_id, CredentialId(credential_id))
        if credential is None or not _may_use(credential, project):
            raise NotFound("there is no such credential for this project")
        found = store.get_assignment(tx, credential.id, project.id)
        if found is None:
            found = Assignment(
                AssignmentId(new_id()), caller.organization_id, credential.id, project.id, caller.audit_name, now
            )
            store.insert_assignment(tx, found)
            detail = {"projectId": str(project.id)}
            record(tx, _event(credential, caller, "credential.assigned", now, detail))
    return AssignmentAnswer(id=found.id, credential_id=found.credential_id, project_id=found.project_id)


@router.get("/deployment/project/{project_id}")
def assigned(project_id: UUID, caller: Caller, db: Db) -> AssignedCredentials:
    """List what is assigned to exactly this project."""
    with db.read() as tx:
        project = project_for(tx, caller, project_id, Permission.VIEW_PROJECT)
        found = store.assigned_to(tx, [project.id])
    return AssignedCredentials(credential_ids=[credential.id for _, credential in found])


@router.delete("/deployment/{credential_id}/project/{project_id}", status_code=204)
def unassign(credential_id: UUID, project_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Take a credential away from a project."""
    with db.write() as tx:
        project = project_for(tx, caller, project_id, Permission.MANAGE_CREDENTIALS)
        credential = store.get_credential(tx, caller.organization_id, CredentialId(credential_id))
        if credential is None or not store.delete_assignment(tx, credential.id, project.id):
            raise NotFound("this credential is not assigned to this project")
        detail = {"projectId": str(project.id)}
        record(tx, _event(credential, caller, "credential.unassigned", clock.now(), detail))


def _authorize_scope(tx: Transaction, caller: Actor, body: CreateCredential) -> Project | None:
    if body.project_id is not None:
        return project_for(tx, caller, body.project_id, Permission.MANAGE_CREDENTIALS)
    if body.organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    caller.require_organization(caller.organization_id, Permission.MANAGE_CREDENTIALS)
    return None


def _manageable(tx: Transaction, caller: Actor, credential_id: UUID) -> StoredCredential:
    credential = store.get_credential(tx, caller.organization_id, CredentialId(credential_id))
    if credential is None or not caller.may(Permission.VIEW_CREDENTIALS, _scope(tx, caller, credential)):
        raise NotFound("there is no such credential")
    caller.require(Permission.MANAGE_CREDENTIALS, _scope(tx, caller, credential))
    return credential


def _scope(tx: Transaction, caller: Actor, credential: StoredCredential) -> ScopePath:
    if credential.project_id is None:
        return ScopePath(caller.organization_id)
    project = get_project(tx, caller.organization_id, credential.project_id)
    return project.scope if project else ScopePath(caller.organization_id)


def _may_use(credential: StoredCredential, project: Project) -> bool:
    return credential.project_id is None or credential.project_id in project.path


def _event(
    credential: StoredCredential, caller: Actor, action: str, at: datetime, detail: dict[str, str] | None = None
) -> AuditEvent:
    about = {"name": credential.name, "type": credential.kind.value, **(detail or {})}
    return AuditEvent(
        at, caller.audit_name, action, "credential", str(credential.id), credential.organization_id, about
    )


def _answer(credential: StoredCredential) -> CredentialAnswer:
    return CredentialAnswer(
        id=credential.id,
        name=credential.name,
        type=credential.kind,
        organization_id=credential.organization_id,
        project_id=credential.project_id,
        created_by=credential.created_by,
        created_at=credential.created_at,
        updated_at=credential.updated_at,
    )
