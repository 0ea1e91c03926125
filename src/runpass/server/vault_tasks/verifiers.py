"""Key set URLs of their own for Vaults: the same keys, at an address that tells which Vault fetches them.

The name in the URL belongs to an auth mount (address, namespace, mount) as one organization's credentials name it, so
that two credentials of one mount never ask for two URLs. It is 192 random bits and opens nothing; but whoever knows it
can fetch there, so it is shown only to those who manage the credential.
"""

import secrets
from datetime import datetime
from typing import Final

from runpass.errors import Conflict, InvalidInput, NotFound
from runpass.ids import new_id
from runpass.protocol.credentials import CredentialKind
from runpass.server.access.actors import Actor
from runpass.server.audit import AuditEvent, record
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.engine import Transaction
from runpass.server.tenancy.store import with_own_issuer
from runpass.server.vault_tasks import verifier_store as store
from runpass.server.vault_tasks.known_vaults import Place, place_of
from runpass.server.vault_tasks.verifier_store import Verifier

NAME_BYTES: Final = 24
MOST: Final = 1_000
"""Of one organization: each may keep a new key waiting, and is checked at every rotation."""


def give(tx: Transaction, credential: StoredCredential, actor: Actor, now: datetime) -> Verifier:
    """Give the URL's name of the Vault that a credential names, made if it is not there yet.

    Raises `InvalidInput` for a credential of another kind, `Conflict` for one URL too many, and where the organization
    has an issuer of its own: the keys at these URLs are the shared issuer's.
    """
    if with_own_issuer(tx, {credential.organization_id}):
        raise Conflict(
            "this organization has an issuer of its own, whose keys are at one URL",
            hint="give its Vaults the URL that `runpass issuer show` prints",
        )
    place = _place(credential)
    found = store.find_verifier(tx, credential.organization_id, place.sha256)
    if found is not None:
        return found
    if store.count_verifiers(tx, credential.organization_id) >= MOST:
        raise Conflict(f"this organization has {MOST} key set URLs", hint="delete those of Vaults that are gone")
    new = Verifier(
        id=new_id(),
        organization_id=credential.organization_id,
        place_sha256=place.sha256,
        name=secrets.token_urlsafe(NAME_BYTES),
        created_by=actor.audit_name,
        created_at=now,
    )
    if store.insert_verifier(tx, new):
        record(tx, _event(credential, place, actor, "created", now))
        return new
    return find(tx, credential)  # somebody was faster


def find(tx: Transaction, credential: StoredCredential) -> Verifier:
    """Give the URL's name of the Vault that a credential names. Raises `NotFound` when it has none."""
    found = store.find_verifier(tx, credential.organization_id, _place(credential).sha256)
    if found is None:
        raise NotFound("this Vault has no key set URL of its own")
    return found


def take_back(tx: Transaction, credential: StoredCredential, actor: Actor, now: datetime) -> None:
    """Forget the name. The keys are served there all the same: nobody's logins depend on it. Raises `NotFound`."""
    place = _place(credential)
    if not store.delete_verifier(tx, credential.organization_id, place.sha256):
        raise NotFound("this Vault has no key set URL of its own")
    record(tx, _event(credential, place, actor, "deleted", now))


def _place(credential: StoredCredential) -> Place:
    if credential.kind is not CredentialKind.VAULT_OIDC:
        raise InvalidInput.of("credentialId", "is no Vault OIDC credential")
    return place_of(credential)


def _event(credential: StoredCredential, place: Place, actor: Actor, what: str, at: datetime) -> AuditEvent:
    detail = {"address": place.address, "namespace": place.namespace, "mount": place.mount}
    action, subject = f"jwks_url.{what}", str(credential.id)
    return AuditEvent(at, actor.audit_name, action, "credential", subject, credential.organization_id, detail)
