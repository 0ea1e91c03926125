"""env0's user object, for whoever made something: here that is an API key, or the operator of the server."""

from collections.abc import Collection, Mapping
from uuid import UUID

from pydantic import ConfigDict

from runpass.ids import ApiKeyId, OrganizationId
from runpass.server.access import store
from runpass.server.access.actors import API_KEY
from runpass.server.db.engine import Transaction
from runpass.server.http.wire import ApiModel


class UserMetadata(ApiModel):
    """What a user is."""

    is_api_key: bool
    organization_id: UUID | None = None


class User(ApiModel):
    """Who made something. env0 spells these names with underscores."""

    model_config = ConfigDict(alias_generator=None)

    user_id: str
    """As in `createdBy`."""
    name: str
    """Empty for an API key that was deleted since."""
    email: str = ""
    app_metadata: UserMetadata


def users(tx: Transaction, organization_id: OrganizationId, names: Collection[str]) -> Mapping[str, User]:
    """Give the users behind these names of the audit trail, each once, with one query."""
    keys = {name: ApiKeyId(UUID(name.removeprefix(API_KEY))) for name in names if name.startswith(API_KEY)}
    called = store.names_of_keys(tx, organization_id, set(keys.values())) if keys else {}
    found = {name: _key(name, called.get(key, ""), organization_id) for name, key in keys.items()}
    return found | {name: _other(name) for name in names if name not in keys}


def user(tx: Transaction, organization_id: OrganizationId, name: str) -> User:
    """Give the user behind one name of the audit trail."""
    return users(tx, organization_id, [name])[name]


def _key(name: str, called: str, organization_id: OrganizationId) -> User:
    return User(user_id=name, name=called, app_metadata=UserMetadata(is_api_key=True, organization_id=organization_id))


def _other(name: str) -> User:
    return User(user_id=name, name=name, app_metadata=UserMetadata(is_api_key=False))
