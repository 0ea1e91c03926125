"""JSON routes of the API keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from runpass.errors import NotFound
from runpass.ids import ApiKeyId, OrganizationId, ProjectId
from runpass.server.access import store
from runpass.server.access.api_keys import KeyRequest, create_api_key
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import OrganizationRole, Permission, ProjectRole
from runpass.server.access.store import ApiKey
from runpass.server.audit import AuditEvent, record
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Moment, Name

router = APIRouter(prefix="/api-keys", tags=["API keys"])
OrganizationIdQuery = Annotated[UUID, Query(alias="organizationId")]


class ProjectPermission(ApiModel):
    """A role on one project."""

    project_id: UUID
    project_role: ProjectRole


class KeyPermissions(ApiModel):
    """What a key may do."""

    organization_role: OrganizationRole
    projects_permissions: Annotated[tuple[ProjectPermission, ...], Field(max_length=200)] = ()


class CreateApiKey(ApiModel):
    """Request: a new API key."""

    name: Name
    organization_id: UUID
    permissions: KeyPermissions


class ApiKeyAnswer(ApiModel):
    """Response: an API key. Its secret is only in the answer to its creation."""

    id: UUID
    name: str
    api_key_id: str
    organization_id: UUID
    organization_role: OrganizationRole
    created_by: str
    created_at: Moment
    last_used_at: Moment | None = None


class NewApiKeyAnswer(ApiKeyAnswer):
    """Response to a creation: the secret is shown here and never again."""

    api_key_secret: str


@router.post("", status_code=201)
def create(body: CreateApiKey, caller: Caller, db: Db, clock: Now) -> NewApiKeyAnswer:
    """Make an API key."""
    organization = OrganizationId(body.organization_id)
    caller.require_organization(organization, Permission.MANAGE_API_KEYS)
    roles = {ProjectId(item.project_id): item.project_role for item in body.permissions.projects_permissions}
    wanted = KeyRequest(organization, body.name, body.permissions.organization_role, roles)
    with db.write() as tx:
        made = create_api_key(tx, wanted, by=caller.audit_name, clock=clock)
    return NewApiKeyAnswer(**_answer(made.key).model_dump(), api_key_secret=made.secret.reveal())


@router.get("")
def list_all(organization_id: OrganizationIdQuery, caller: Caller, db: Db) -> list[ApiKeyAnswer]:
    """List an organization's API keys."""
    organization = OrganizationId(organization_id)
    caller.require_organization(organization, Permission.MANAGE_API_KEYS)
    with db.read() as tx:
        return [_answer(key) for key in store.list_api_keys(tx, organization)]


@router.delete("/{key_id}", status_code=204)
def delete(key_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Delete an API key; it stops working at once."""
    caller.require_organization(caller.organization_id, Permission.MANAGE_API_KEYS)
    with db.write() as tx:
        if not store.delete_api_key(tx, caller.organization_id, ApiKeyId(key_id)):
            raise NotFound("there is no such API key")
        record(tx, _deleted(clock.now(), caller.audit_name, key_id, caller.organization_id))


def _deleted(at: datetime, by: str, key_id: UUID, organization_id: OrganizationId) -> AuditEvent:
    return AuditEvent(at, by, "api_key.deleted", "api_key", str(key_id), organization_id)


def _answer(key: ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer(
        id=key.id,
        name=key.name,
        api_key_id=key.api_key_id,
        organization_id=key.organization_id,
        organization_role=key.organization_role,
        created_by=key.created_by,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
    )
