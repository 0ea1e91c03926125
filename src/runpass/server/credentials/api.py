"""JSON routes of credentials and their assignment. Paths and fields are env0's."""

from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, ValidationInfo, field_validator, model_validator

from runpass.errors import Conflict, InvalidInput, NotFound
from runpass.ids import CredentialId, ProjectId, new_id
from runpass.protocol.credentials import CLASSES, Credential, CredentialKind, RecordedRole, VaultOidc
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.access.users import User, user, users
from runpass.server.audit import record
from runpass.server.credentials import store
from runpass.server.credentials.assigning import assign_credential, unassign_credential
from runpass.server.credentials.events import credential_event
from runpass.server.credentials.model import MOST_CREDENTIALS, StoredCredential
from runpass.server.credentials.rules import check_clear_text
from runpass.server.credentials.sealing import seal
from runpass.server.credentials.store import Hold, Page
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now, Sealing
from runpass.server.http.preconditions import IfMatch, check_unchanged, tell_tag
from runpass.server.http.wire import ApiModel, Moment, Name
from runpass.server.tenancy.lookup import open_project_for, own_organization
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.store import get_project
from runpass.server.tenancy.visibility import visible_to

router = APIRouter(prefix="/credentials", tags=["Credentials"])
MAX_OFFSET = 2_147_483_647


def _by_type(schema: dict[str, Any]) -> None:
    """Say in the published schema which type goes with which value."""
    refs = dict(zip(get_args(Credential), schema["properties"]["value"]["anyOf"], strict=True))
    schema["anyOf"] = [
        {
            "type": "object",
            "properties": {"type": {"enum": [kind.value for kind in CLASSES if CLASSES[kind] is each]}, "value": ref},
        }
        for each, ref in refs.items()
    ]


class _Typed(ApiModel):
    model_config = ConfigDict(json_schema_extra=_by_type)

    type: CredentialKind
    value: Credential

    @field_validator("value", mode="plain", json_schema_input_type=Credential)
    @classmethod
    def _of_its_type(cls, value: Any, info: ValidationInfo) -> Any:
        # What a value must be follows from the type beside it; its errors are named `value.<field>`.
        kind = info.data.get("type")
        return value if kind is None else CLASSES[kind].model_validate(value)


class CreateCredential(_Typed):
    """Request: a new credential, of the organization or of one project. `value` has the fields of its `type`."""

    name: Name
    organization_id: UUID | None = None
    project_id: UUID | None = None

    @model_validator(mode="after")
    def _one_scope(self) -> "CreateCredential":
        if (self.organization_id is None) == (self.project_id is None):
            raise ValueError("exactly one of organizationId and projectId is required")
        return self


class ChangeCredential(_Typed):
    """Request: the whole new value of a credential. Name and type stay; secrets that are left out are gone."""


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
    now, credential_id = clock.now(), CredentialId(new_id())
    with db.write() as tx:
        project = _authorize_scope(tx, caller, body)
        if store.count_credentials(tx, caller.organization_id) >= MOST_CREDENTIALS:
            raise Conflict(f"an organization has at most {MOST_CREDENTIALS} credentials")
        check_clear_text(body.value, own_organization(tx, caller))
        credential = StoredCredential(
            id=credential_id,
            organization_id=caller.organization_id,
            project_id=project.id if project else None,
            name=body.name,
            kind=body.type,
            value=seal(cipher, credential_id, caller.organization_id, body.value),
            created_by=caller.audit_name,
            created_at=now,
            updated_at=now,
        )
        store.insert_credential(tx, credential)
        record(tx, credential_event(credential, caller, "credential.created", now, _told(body.value)))
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
    now = clock.now()
    with db.write() as tx:
        seen = manageable(tx, caller, credential_id)
        check_unchanged(if_match, seen.updated_at)
        if seen.kind != body.type:
            raise InvalidInput.of("type", "the type of a credential cannot be changed")
        check_clear_text(body.value, own_organization(tx, caller))
        store.change_value(tx, seen, seal(cipher, seen.id, seen.organization_id, body.value), now)
        record(tx, credential_event(seen, caller, "credential.changed", now, _told(body.value)))
        changed = manageable(tx, caller, credential_id)
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
        credential = manageable(tx, caller, credential_id, Hold.ALL)
        ended = store.delete_credential(tx, credential.id)
        detail = {"assignments": str(ended)}
        record(tx, credential_event(credential, caller, "credential.deleted", clock.now(), detail))


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


def _authorize_scope(tx: Transaction, caller: Actor, body: CreateCredential) -> Project | None:
    if body.project_id is not None:
        return open_project_for(tx, caller, body.project_id, Permission.MANAGE_CREDENTIALS)
    if body.organization_id != caller.organization_id:
        raise NotFound("there is no such organization")
    caller.require_organization(caller.organization_id, Permission.MANAGE_CREDENTIALS)
    return None


def manageable(tx: Transaction, caller: Actor, credential_id: UUID, hold: Hold = Hold.NOTHING) -> StoredCredential:
    """Give a credential that the caller manages. Raises `NotFound` for one that the caller may not even see."""
    credential = store.get_credential(tx, caller.organization_id, CredentialId(credential_id), hold)
    if credential is None or not caller.may(Permission.VIEW_CREDENTIALS, _scope(tx, caller, credential)):
        raise NotFound("there is no such credential")
    caller.require(Permission.MANAGE_CREDENTIALS, _scope(tx, caller, credential))
    return credential


def _scope(tx: Transaction, caller: Actor, credential: StoredCredential) -> ScopePath:
    if credential.project_id is None:
        return ScopePath(caller.organization_id)
    project = get_project(tx, caller.organization_id, credential.project_id)
    return project.scope if project else ScopePath(caller.organization_id)


def _told(value: Credential) -> dict[str, str]:
    """Give what the audit trail tells of a value: whereto login tokens go, and as which role."""
    return {"address": value.address, "role": value.role_name} if isinstance(value, VaultOidc) else {}


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
