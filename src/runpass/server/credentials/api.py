"""JSON routes of credentials and their assignment. Paths and fields are env0's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from runpass.errors import InvalidInput, NotFound
from runpass.ids import ProjectId
from runpass.protocol.credentials import CredentialKind, RecordedRole
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.access.users import User, user, users
from runpass.server.audit import record
from runpass.server.credentials import store
from runpass.server.credentials.assigning import assign_credential, unassign_credential
from runpass.server.credentials.changing import change_credential, create_credential, delete_credential, manageable
from runpass.server.credentials.events import credential_event
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.requests import ChangeCredential, CreateCredential
from runpass.server.credentials.store import Page
from runpass.server.http.dependencies import Db, Now, Sealing
from runpass.server.http.preconditions import IfMatch, check_unchanged, tell_tag
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.tenancy.store import get_project
from runpass.server.tenancy.visibility import visible_to

router = APIRouter(prefix="/credentials", tags=["Credentials"])
MAX_OFFSET = 2_147_483_647


class CredentialAnswer(ApiModel):
    """Response: a credential. `value` is never given back."""

    id: UUID
    name: str
    type: CredentialKind
    organization_id: UUID
    project_id: UUID | None = None
    value: None = None
    created_by: str
    created_by_user: User
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
    organization_id: Annotated[UUID, Query(alias="organizationId")],
    caller: Caller,
    db: Db,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> list[CredentialAnswer]:
    """List the credentials of both scopes that the caller may see, oldest first; all of them without a limit."""
    if organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    with db.read() as tx:
        whole = caller.projects_with(Permission.VIEW_CREDENTIALS) is None
        visible = None if whole else visible_to(tx, caller, Permission.VIEW_CREDENTIALS)
        found = store.list_credentials(tx, caller.organization_id, visible, Page(limit, offset))
        makers = users(tx, caller.organization_id, {item.created_by for item in found})
    return [_answer(item, makers[item.created_by]) for item in found]


@router.post("", status_code=201)
def create(
    body: CreateCredential, caller: Caller, db: Db, *, clock: Now, cipher: Sealing, response: Response
) -> CredentialAnswer:
    """Make a credential."""
    with db.write() as tx:
        credential = create_credential(tx, caller, body, cipher=cipher, now=clock.now())
        maker = user(tx, caller.organization_id, credential.created_by)
    tell_tag(response, credential.updated_at)
    return _answer(credential, maker)


@router.patch("/{credential_id}")
def change(  # noqa: PLR0913 -- FastAPI's way of asking for things
    credential_id: UUID,
    body: ChangeCredential,
    caller: Caller,
    db: Db,
    *,
    clock: Now,
    cipher: Sealing,
    response: Response,
    if_match: IfMatch = None,
) -> CredentialAnswer:
    """Replace a credential's value."""
    with db.write() as tx:
        seen = manageable(tx, caller, credential_id)
        check_unchanged(if_match, seen.updated_at)
        changed = change_credential(tx, caller, seen, body, cipher=cipher, now=clock.now())
        maker = user(tx, caller.organization_id, changed.created_by)
    tell_tag(response, changed.updated_at)
    return _answer(changed, maker)


@router.put("/{credential_id}/recorded-role", status_code=204)
def record_role(credential_id: UUID, body: RecordedRole, caller: Caller, db: Db, clock: Now) -> None:
    """Keep what was written at the Vault for a credential, so that a refusal can be explained: ours.

    `runpass vault apply` sends it. It is forgotten when the credential's value changes.
    """
    with db.write() as tx:
        credential = manageable(tx, caller, credential_id)
        if credential.kind is not CredentialKind.VAULT_OIDC:
            raise InvalidInput.of("credentialId", "is no Vault OIDC credential")
        store.record_role(tx, credential.id, body.model_dump(mode="json", by_alias=True))
        detail = {"role": body.role_name, "mount": body.mount}
        record(tx, credential_event(credential, caller, "credential.role_recorded", clock.now(), detail))


@router.delete("/{credential_id}", status_code=204)
def delete(credential_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Delete a credential and its assignments; the next deployment runs without it."""
    with db.write() as tx:
        delete_credential(tx, caller, credential_id, clock.now())


@router.put("/deployment/{credential_id}/project/{project_id}")
def assign(credential_id: UUID, project_id: UUID, caller: Caller, db: Db, clock: Now) -> AssignmentAnswer:
    """Let a project use a credential. Doing it twice changes nothing."""
    with db.write() as tx:
        found = assign_credential(tx, caller, project_id, credential_id, clock.now())
    return AssignmentAnswer(id=found.id, credential_id=found.credential_id, project_id=found.project_id)


@router.get("/deployment/project/{project_id}")
def assigned(project_id: UUID, caller: Caller, db: Db) -> AssignedCredentials:
    """List what is assigned to exactly this project: nothing if it was deleted."""
    with db.read() as tx:
        project = get_project(tx, caller.organization_id, ProjectId(project_id), deleted=True)
        if project is None or not caller.may(Permission.VIEW_PROJECT, project.scope):
            raise NotFound("there is no such project")
        found = [] if project.deleted_at else store.assigned_ids(tx, project.id)
    return AssignedCredentials(credential_ids=list(found))


@router.delete("/deployment/{credential_id}/project/{project_id}", status_code=204)
def unassign(credential_id: UUID, project_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Take a credential away from a project."""
    with db.write() as tx:
        unassign_credential(tx, caller, project_id, credential_id, clock.now())


def _answer(credential: StoredCredential, maker: User) -> CredentialAnswer:
    return CredentialAnswer(
        id=credential.id,
        name=credential.name,
        type=credential.kind,
        organization_id=credential.organization_id,
        project_id=credential.project_id,
        created_by=credential.created_by,
        created_by_user=maker,
        created_at=credential.created_at,
        updated_at=credential.updated_at,
    )
