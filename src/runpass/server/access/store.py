"""Every query on API keys."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update

from runpass.ids import ApiKeyId, OrganizationId, ProjectId
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.engine import Transaction
from runpass.server.db.locking import lock_row
from runpass.server.db.schema.access import api_keys
from runpass.server.db.schema.tenancy import organizations, projects


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret."""

    id: ApiKeyId
    organization_id: OrganizationId
    name: str
    api_key_id: str
    organization_role: OrganizationRole
    project_roles: dict[ProjectId, ProjectRole]
    created_by: str
    created_at: datetime
    last_used_at: datetime | None


def insert_api_key(tx: Transaction, key: ApiKey, secret_sha256: bytes) -> None:
    """Store a key and the digest of its secret."""
    tx.execute(
        api_keys.insert().values(
            id=key.id,
            organization_id=key.organization_id,
            name=key.name,
            api_key_id=key.api_key_id,
            secret_sha256=secret_sha256,
            organization_role=key.organization_role.value,
            project_roles={str(project): role.value for project, role in key.project_roles.items()},
            created_by=key.created_by,
            created_at=key.created_at,
        )
    )


def find_by_api_key_id(tx: Transaction, api_key_id: str) -> tuple[ApiKey, bytes] | None:
    """Give the key a caller names, and the digest of its secret."""
    row = tx.execute(select(api_keys).where(api_keys.c.api_key_id == api_key_id)).one_or_none()
    return None if row is None else (api_key(row), row.secret_sha256)


def list_api_keys(tx: Transaction, organization_id: OrganizationId) -> list[ApiKey]:
    """Give an organization's keys, oldest first."""
    query = select(api_keys).where(api_keys.c.organization_id == organization_id).order_by(api_keys.c.id)
    return [api_key(row) for row in tx.execute(query)]


def names_of_keys(
    tx: Transaction, organization_id: OrganizationId, key_ids: Collection[ApiKeyId]
) -> Mapping[ApiKeyId, str]:
    """Give the names of these keys of an organization, as far as they are there."""
    mine = (api_keys.c.organization_id == organization_id) & api_keys.c.id.in_(key_ids)
    return {ApiKeyId(row.id): row.name for row in tx.execute(select(api_keys.c.id, api_keys.c.name).where(mine))}


def get_api_key(tx: Transaction, organization_id: OrganizationId, key_id: ApiKeyId) -> ApiKey | None:
    """Give a key of this organization."""
    mine = (api_keys.c.id == key_id) & (api_keys.c.organization_id == organization_id)
    row = tx.execute(select(api_keys).where(mine)).one_or_none()
    return None if row is None else api_key(row)


def count_api_keys(tx: Transaction, organization_id: OrganizationId, role: OrganizationRole | None = None) -> int:
    """Give how many keys an organization has, or how many of them have this role."""
    query = select(func.count()).select_from(api_keys).where(api_keys.c.organization_id == organization_id)
    if role is not None:
        query = query.where(api_keys.c.organization_role == role.value)
    return int(tx.execute(query).scalar_one())


def lock_keys(tx: Transaction, organization_id: OrganizationId) -> None:
    """Let nobody else make or delete a key of this organization until the end of the transaction."""
    lock_row(tx, organizations, organization_id)


def existing_projects(
    tx: Transaction, organization_id: OrganizationId, project_ids: Collection[ProjectId]
) -> set[ProjectId]:
    """Give those of these projects that are there and belong to the organization."""
    mine = (projects.c.organization_id == organization_id) & projects.c.id.in_(project_ids)
    query = select(projects.c.id).where(mine, projects.c.deleted_at.is_(None))
    return {ProjectId(item) for item in tx.execute(query).scalars()}


def project_names(tx: Transaction, organization_id: OrganizationId) -> Mapping[ProjectId, str]:
    """Give an organization's projects, each after the one above it, by their names from the root down."""
    mine = (projects.c.organization_id == organization_id) & projects.c.deleted_at.is_(None)
    query = select(projects.c.id, projects.c.parent_project_id, projects.c.name).where(mine)
    found: dict[ProjectId, str] = {}
    for row in tx.execute(query.order_by(projects.c.hierarchy)):
        above = found.get(row.parent_project_id, "")
        found[ProjectId(row.id)] = f"{above} / {row.name}" if above else row.name
    return found


def oidc_sub(tx: Transaction, organization_id: OrganizationId) -> str | None:
    """Give the `sub` of every token of an organization; None where its template makes several of them."""
    query = select(organizations.c.oidc_sub, organizations.c.policies).where(organizations.c.id == organization_id)
    row = tx.execute(query).one()
    template = row.policies.get("identity_subject")
    if template is None:
        return str(row.oidc_sub)
    return str(organization_id) if len(template) == 1 else None


def delete_api_key(tx: Transaction, organization_id: OrganizationId, key_id: ApiKeyId) -> bool:
    """Delete a key; whether there was one."""
    mine = (api_keys.c.id == key_id) & (api_keys.c.organization_id == organization_id)
    return tx.execute(delete(api_keys).where(mine)).rowcount == 1


def touch_api_key(tx: Transaction, key_id: ApiKeyId, now: datetime) -> None:
    """Note that a key was used."""
    tx.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))


def api_key(row: Row[Any]) -> ApiKey:
    """Give the key that a row of the table is."""
    return ApiKey(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        api_key_id=row.api_key_id,
        organization_role=OrganizationRole(row.organization_role),
        project_roles={ProjectId(UUID(key)): ProjectRole(value) for key, value in row.project_roles.items()},
        created_by=row.created_by,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
