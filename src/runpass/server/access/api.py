"""JSON routes of the API keys."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BeforeValidator, Field, field_validator

from runpass.errors import Conflict
from runpass.ids import ApiKeyId, OrganizationId, ProjectId
from runpass.server.access import store
from runpass.server.access.api_keys import KeyRequest, create_api_key, end_api_key
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import OrganizationRole, Permission, ProjectRole
from runpass.server.access.store import ApiKey
from runpass.server.access.users import User, user, users
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Moment, Name

router = APIRouter(prefix="/api-keys", tags=["API keys"])
OrganizationIdQuery = Annotated[UUID, Query(alias="organizationId")]


def _built_in(value: object) -> object:
    """Refuse env0's custom roles, which are named by UUIDs, with a sentence of their own."""
    if isinstance(value, str) and _is_uuid(value):
        raise ValueError("custom roles are not offered: only the built-in ones")
    return value


def _is_uuid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True


BuiltIn = BeforeValidator(_built_in)


class ProjectPermission(ApiModel):
    """A role on one project."""

    project_id: UUID
    project_role: Annotated[ProjectRole, BuiltIn]


class KeyPermissions(ApiModel):
    """What a key may do."""

    organization_role: Annotated[OrganizationRole, BuiltIn]
    projects_permissions: Annotated[tuple[ProjectPermission, ...], Field(max_length=200)] = ()

    @field_validator("projects_permissions", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return () if value is None else value

    @field_validator("projects_permissions")
    @classmethod
    def _each_once(cls, value: tuple[ProjectPermission, ...]) -> tuple[ProjectPermission, ...]:
        if len({item.project_id for item in value}) < len(value):
            raise ValueError("names a project twice")
        return value


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
    created_by_user: User
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
        answer = _answer(made.key, user(tx, organization, made.key.created_by))
    return NewApiKeyAnswer(**dict(answer), api_key_secret=made.secret.reveal())


@router.get("")
def list_all(organization_id: OrganizationIdQuery, caller: Caller, db: Db) -> list[ApiKeyAnswer]:
    """List an organization's API keys."""
    organization = OrganizationId(organization_id)
    caller.require_organization(organization, Permission.MANAGE_API_KEYS)
    with db.read() as tx:
        found = store.list_api_keys(tx, organization)
        makers = users(tx, organization, {key.created_by for key in found})
    return [_answer(key, makers[key.created_by]) for key in found]


@router.get("/oidc-sub", response_class=PlainTextResponse)
def oidc_sub(organization_id: OrganizationIdQuery, caller: Caller, db: Db) -> str:
    """Give the `sub` of every token of an organization: the bare text, without JSON's quotes.

    Refused where the policy `identitySubject` makes several of them.
    """
    organization = OrganizationId(organization_id)
    caller.require_organization(organization, Permission.VIEW_ORGANIZATION)
    with db.read() as tx:
        found = store.oidc_sub(tx, organization)
    if found is None:
        raise Conflict(
            "the tokens of this organization have more than one sub (policy identitySubject)",
            hint="runpass organization subject preview",
        )
    return found


@router.delete("/{key_id}", status_code=204)
def delete(key_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Delete an API key; it stops working at once. The last Admin key of an organization stays."""
    caller.require_organization(caller.organization_id, Permission.MANAGE_API_KEYS)
    with db.write() as tx:
        end_api_key(tx, caller, ApiKeyId(key_id), clock.now())


def _answer(key: ApiKey, made_by: User) -> ApiKeyAnswer:
    return ApiKeyAnswer(
        id=key.id,
        name=key.name,
        api_key_id=key.api_key_id,
        organization_id=key.organization_id,
        organization_role=key.organization_role,
        created_by=key.created_by,
        created_by_user=made_by,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
    )
