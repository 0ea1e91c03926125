"""Making, changing and deleting a credential: the rules of both doors, API and console."""

from datetime import datetime
from uuid import UUID

from runpass.errors import Conflict, InvalidInput, NotFound
from runpass.ids import CredentialId, new_id
from runpass.protocol.credentials import Credential, VaultOidc
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.audit import record
from runpass.server.credentials import store
from runpass.server.credentials.events import credential_event
from runpass.server.credentials.model import MOST_CREDENTIALS, StoredCredential
from runpass.server.credentials.requests import ChangeCredential, CreateCredential
from runpass.server.credentials.rules import check_clear_text
from runpass.server.credentials.sealing import seal
from runpass.server.credentials.store import Hold
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.tenancy.lookup import open_project_for, own_organization
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.store import get_project


def create_credential(
    tx: Transaction, actor: Actor, wanted: CreateCredential, *, cipher: Cipher, now: datetime
) -> StoredCredential:
    """Make a credential of the organization or of one project; give it.

    Raises `NotFound`, `Forbidden`; `InvalidInput` for what the organization does not permit; `Conflict` for one too
    many, and where the project, or one above it, is archived.
    """
    project = _authorize_scope(tx, actor, wanted)
    if store.count_credentials(tx, actor.organization_id) >= MOST_CREDENTIALS:
        raise Conflict(f"an organization has at most {MOST_CREDENTIALS} credentials")
    check_clear_text(wanted.value, own_organization(tx, actor))
    credential_id = CredentialId(new_id())
    credential = StoredCredential(
        id=credential_id,
        organization_id=actor.organization_id,
        project_id=project.id if project else None,
        name=wanted.name,
        kind=wanted.type,
        value=seal(cipher, credential_id, actor.organization_id, wanted.value),
        created_by=actor.audit_name,
        created_at=now,
        updated_at=now,
    )
    store.insert_credential(tx, credential)
    record(tx, credential_event(credential, actor, "credential.created", now, _told(wanted.value)))
    return credential


def change_credential(
    tx: Transaction, actor: Actor, seen: StoredCredential, wanted: ChangeCredential, *, cipher: Cipher, now: datetime
) -> StoredCredential:
    """Replace the value of a credential that `manageable` gave; give it as it is now.

    Raises `InvalidInput` for another type and for what the organization does not permit, `Conflict` if somebody else
    changes it at this moment.
    """
    if seen.kind != wanted.type:
        raise InvalidInput.of("type", "the type of a credential cannot be changed")
    check_clear_text(wanted.value, own_organization(tx, actor))
    store.change_value(tx, seen, seal(cipher, seen.id, seen.organization_id, wanted.value), now)
    record(tx, credential_event(seen, actor, "credential.changed", now, _told(wanted.value)))
    return manageable(tx, actor, seen.id)


def delete_credential(tx: Transaction, actor: Actor, credential_id: UUID, now: datetime) -> StoredCredential:
    """Delete a credential with its assignments; give what it was. The next deployment runs without it."""
    credential = manageable(tx, actor, credential_id, Hold.ALL)
    ended = store.delete_credential(tx, credential.id)
    record(tx, credential_event(credential, actor, "credential.deleted", now, {"assignments": str(ended)}))
    return credential


def viewable(tx: Transaction, actor: Actor, credential_id: UUID, hold: Hold = Hold.NOTHING) -> StoredCredential:
    """Give a credential that the actor may see. Raises `NotFound`."""
    credential = store.get_credential(tx, actor.organization_id, CredentialId(credential_id), hold)
    if credential is None or not actor.may(Permission.VIEW_CREDENTIALS, scope_of(tx, credential)):
        raise NotFound("there is no such credential")
    return credential


def manageable(tx: Transaction, actor: Actor, credential_id: UUID, hold: Hold = Hold.NOTHING) -> StoredCredential:
    """Give a credential that the actor manages. Raises `NotFound` for one that the actor may not even see."""
    credential = viewable(tx, actor, credential_id, hold)
    actor.require(Permission.MANAGE_CREDENTIALS, scope_of(tx, credential))
    return credential


def scope_of(tx: Transaction, credential: StoredCredential) -> ScopePath:
    """Give where a credential stands: at its project, or the whole organization."""
    if credential.project_id is None:
        return ScopePath(credential.organization_id)
    project = get_project(tx, credential.organization_id, credential.project_id)
    return project.scope if project else ScopePath(credential.organization_id)


def _authorize_scope(tx: Transaction, actor: Actor, wanted: CreateCredential) -> Project | None:
    if wanted.project_id is not None:
        return open_project_for(tx, actor, wanted.project_id, Permission.MANAGE_CREDENTIALS)
    if wanted.organization_id != actor.organization_id:
        raise NotFound("there is no such organization")
    actor.require_organization(actor.organization_id, Permission.MANAGE_CREDENTIALS)
    return None


def _told(value: Credential) -> dict[str, str]:
    """Give what the audit trail tells of a value: whereto login tokens go, and as which role."""
    return {"address": value.address, "role": value.role_name} if isinstance(value, VaultOidc) else {}
