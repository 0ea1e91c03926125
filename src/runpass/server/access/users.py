"""env0's user object, for whoever made something: an API key, a person, or the operator of the server."""

from collections.abc import Collection, Mapping
from uuid import UUID

from pydantic import ConfigDict

from runpass.ids import ApiKeyId, OrganizationId, PersonId
from runpass.server.access import people_store, store
from runpass.server.access.actors import ActorKind
from runpass.server.access.people_store import Person
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
    """Empty for an API key or a person that was deleted since."""
    email: str = ""
    app_metadata: UserMetadata


def users(tx: Transaction, organization_id: OrganizationId, names: Collection[str]) -> Mapping[str, User]:
    """Give the users behind these names of the audit trail, each once, with one query for each kind of them."""
    keys = {name: ApiKeyId(item) for name, item in _ids(names, ActorKind.API_KEY).items()}
    called = store.names_of_keys(tx, organization_id, set(keys.values())) if keys else {}
    found = {name: _key(name, called.get(key, ""), organization_id) for name, key in keys.items()}
    persons = {name: PersonId(item) for name, item in _ids(names, ActorKind.PERSON).items()}
    known = people_store.people_named(tx, organization_id, set(persons.values())) if persons else {}
    found |= {name: _person(name, known.get(person), organization_id) for name, person in persons.items()}
    return found | {name: _other(name) for name in names if name not in found}


def user(tx: Transaction, organization_id: OrganizationId, name: str) -> User:
    """Give the user behind one name of the audit trail."""
    return users(tx, organization_id, [name])[name]


def _ids(names: Collection[str], kind: ActorKind) -> dict[str, UUID]:
    """Give the ids behind those of these names that are of this kind."""
    return {name: UUID(name.partition(":")[2]) for name in names if name.startswith(f"{kind}:")}


def _key(name: str, called: str, organization_id: OrganizationId) -> User:
    return User(user_id=name, name=called, app_metadata=UserMetadata(is_api_key=True, organization_id=organization_id))


def _person(name: str, person: Person | None, organization_id: OrganizationId) -> User:
    called, signs_in_as = (person.display_name, person.sign_in_name) if person else ("", "")
    about = UserMetadata(is_api_key=False, organization_id=organization_id)
    return User(user_id=name, name=called, email=signs_in_as if "@" in signs_in_as else "", app_metadata=about)


def _other(name: str) -> User:
    return User(user_id=name, name=name, app_metadata=UserMetadata(is_api_key=False))
