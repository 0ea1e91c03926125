"""Every query on API keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, update

from runpass.ids import ApiKeyId, OrganizationId, ProjectId
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.access import api_keys


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
    return None if row is None else (_api_key(row), row.secret_sha256)


def list_api_keys(tx: Transaction, organization_id: OrganizationId) -> list[ApiKey]:
    """Give an organization's keys, oldest first."""
    query = select(api_keys).where(api_keys.c.organization_id == organization_id).order_by(api_keys.c.id)
    return [_api_key(row) for row in tx.execute(query)]


def delete_api_key(tx: Transaction, organization_id: OrganizationId, key_id: ApiKeyId) -> bool:
    """Delete a key; whether there was one."""
    mine = (api_keys.c.id == key_id) & (api_keys.c.organization_id == organization_id)
    return tx.execute(delete(api_keys).where(mine)).rowcount == 1


def touch_api_key(tx: Transaction, key_id: ApiKeyId, now: datetime) -> None:
    """Note that a key was used."""
    tx.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))


def _api_key(row: Row[Any]) -> ApiKey:
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
