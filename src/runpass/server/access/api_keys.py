"""API keys: making one, and proving to be one (HTTP Basic, RFC 7617: user = API key id, password = secret)."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from runpass.clock import Clock
from runpass.errors import Conflict, NotFound, Unauthenticated, Unavailable
from runpass.ids import ApiKeyId, OrganizationId, ProjectId, new_id
from runpass.secret import Secret
from runpass.server.access import store
from runpass.server.access.actors import Actor
from runpass.server.access.bearers import Bearer, digest, matches, new_bearer
from runpass.server.access.granting import check_projects, told
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.access.store import ApiKey
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Database, Transaction

_log = structlog.get_logger(__name__)
_NOBODY = digest(new_bearer(Bearer.NOBODY))
_TOUCH_EVERY = timedelta(minutes=1)
MOST_KEYS = 1_000
"""Keys of one organization."""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key at the only moment its secret is known."""

    key: ApiKey
    secret: Secret


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What a new key is to be."""

    organization_id: OrganizationId
    name: str
    organization_role: OrganizationRole
    project_roles: Mapping[ProjectId, ProjectRole]


class WrongSecret(Unauthenticated):
    """An API key that is not there, or `key` without its secret. From outside, both look the same."""

    def __init__(self, key: ApiKey | None) -> None:
        super().__init__("the API key id or its secret is wrong")
        self.key = key


def create_api_key(tx: Transaction, wanted: KeyRequest, *, by: str, clock: Clock) -> NewApiKey:
    """Store a new key and its audit record; give it with its secret.

    Raises `InvalidInput` for roles on projects that are not there, `Conflict` when the organization has too many keys.
    """
    store.lock_keys(tx, wanted.organization_id)
    check_projects(tx, wanted.organization_id, wanted.project_roles)
    if store.count_api_keys(tx, wanted.organization_id) >= MOST_KEYS:
        message = f"an organization has at most {MOST_KEYS} API keys"
        raise Conflict(message, hint="delete keys that nobody uses any more")
    secret = new_bearer(Bearer.API_KEY)
    key = ApiKey(
        id=ApiKeyId(new_id()),
        organization_id=wanted.organization_id,
        name=wanted.name,
        api_key_id=f"rpk_{secrets.token_hex(8)}",
        organization_role=wanted.organization_role,
        project_roles=dict(wanted.project_roles),
        created_by=by,
        created_at=clock.now(),
        last_used_at=None,
    )
    store.insert_api_key(tx, key, digest(secret))
    record(
        tx,
        AuditEvent(
            clock.now(),
            by,
            "api_key.created",
            "api_key",
            str(key.id),
            key.organization_id,
            {"name": key.name, "organizationRole": key.organization_role.value, **told(key.project_roles)},
        ),
    )
    return NewApiKey(key, secret)


def delete_api_key(tx: Transaction, organization_id: OrganizationId, key_id: ApiKeyId) -> None:
    """Delete a key, which may be the caller's own.

    Raises `NotFound`; `Conflict` for the last Admin key, so that programs are never locked out.
    """
    store.lock_keys(tx, organization_id)
    key = store.get_api_key(tx, organization_id, key_id)
    if key is None:
        raise NotFound("there is no such API key")
    admin = OrganizationRole.ADMIN
    if key.organization_role is admin and store.count_api_keys(tx, organization_id, admin) == 1:
        raise Conflict("this is the organization's last Admin key", hint="make another Admin key first")
    store.delete_api_key(tx, organization_id, key_id)


def end_api_key(tx: Transaction, caller: Actor, key_id: ApiKeyId, now: datetime) -> None:
    """Delete a key of the caller's organization for the caller, who may manage keys. Raises as `delete_api_key`."""
    organization = caller.organization_id
    delete_api_key(tx, organization, key_id)
    record(tx, AuditEvent(now, caller.audit_name, "api_key.deleted", "api_key", str(key_id), organization))


def authenticate(database: Database, authorization: str, clock: Clock) -> Actor:
    """Give the actor behind an `Authorization` header.

    Raises `Unauthenticated` with one and the same sentence whatever was wrong. An unknown id costs as much as a
    wrong secret.
    """
    return prove(database, *_basic(authorization), clock)


def prove(database: Database, api_key_id: str, secret: Secret, clock: Clock) -> Actor:
    """Give the actor that is this API key. Raises `WrongSecret`, as `authenticate` does."""
    with database.read() as tx:
        found = store.find_by_api_key_id(tx, api_key_id)
    stored = found[1] if found else _NOBODY
    if not matches(secret, stored):
        raise WrongSecret(found[0] if found else None)
    if found is None:
        raise WrongSecret(None)
    key = found[0]
    now = clock.now()
    if key.last_used_at is None or now - key.last_used_at > _TOUCH_EVERY:
        _note_use(database, key, now)
    return actor_of(key)


def actor_of(key: ApiKey) -> Actor:
    """Give the actor that a key is, with the roles that it has now."""
    return Actor(key.id, key.name, key.organization_id, key.organization_role, key.project_roles)


def _note_use(database: Database, key: ApiKey, now: datetime) -> None:
    """Note that a key was used, if that can be written now: whoever only reads needs no more than to read."""
    try:
        with database.write() as tx:
            store.touch_api_key(tx, key.id, now)
    except (Unavailable, Conflict) as error:
        _log.warning("api_key.use_not_noted", code=error.code, message=error.message)


def _basic(authorization: str) -> tuple[str, Secret]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        hint = "send HTTP Basic: user = API key id, password = its secret"
        raise Unauthenticated("this needs an API key", hint=hint)
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError as error:  # not base64, not ASCII, or not UTF-8 inside
        raise Unauthenticated("the API key id or its secret is wrong") from error
    if not user.isprintable():
        raise Unauthenticated("the API key id or its secret is wrong")
    return user, Secret(password)
