"""JSON routes of key set URLs that name a Vault: ours, env0 has no counterpart."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from runpass.server.access.dependencies import Caller
from runpass.server.credentials.changing import manageable
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now, Settings
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.issuer.keys import SHARED, KeyRecord, KeyState
from runpass.server.issuer.store import list_records
from runpass.server.vault_tasks import key_check_store, verifiers
from runpass.server.vault_tasks.key_check_model import Standing, confirmation
from runpass.server.vault_tasks.known_vaults import KnownVault, place_of
from runpass.server.vault_tasks.verifier_store import Verifier

router = APIRouter(prefix="/credentials", tags=["Key set URLs"])
SHOWN = frozenset({KeyState.UPCOMING, KeyState.ACTIVE})


class KeyStandingAnswer(ApiModel):
    """Response: whether the Vault is known to have a key."""

    key_id: str
    state: KeyState
    standing: Standing
    seen_at: Moment | None = None
    """When it fetched the key while a runner checked it."""
    why: str = ""
    said: str = ""
    """The Vault's own words at the last check."""


class JwksUrlAnswer(ApiModel):
    """Response: the key set URL of the Vault that a credential names, and what is known of it."""

    credential_id: UUID
    jwks_url: str
    """For the Vault's config alone: whoever knows it can fetch there."""
    namespace: str
    auth_mount_path: str
    created_by: str
    created_at: Moment
    keys: Annotated[list[KeyStandingAnswer], Field(default_factory=list)]


@router.put("/{credential_id}/jwks-url")
def give(credential_id: UUID, caller: Caller, db: Db, clock: Now, settings: Settings) -> JwksUrlAnswer:
    """Give the Vault that a credential names a key set URL of its own. Doing it twice gives the same one.

    The same keys stand there; a fetch then tells which Vault it is. `runpass vault apply --own-jwks-url` asks for it.
    """
    now = clock.now()
    with db.write() as tx:
        credential = manageable(tx, caller, credential_id)
        verifier = verifiers.give(tx, credential, caller, now)
        return _answer(tx, credential, verifier, settings.own_jwks_url(verifier.name), now)


@router.get("/{credential_id}/jwks-url")
def get(credential_id: UUID, caller: Caller, db: Db, clock: Now, settings: Settings) -> JwksUrlAnswer:
    """Give the key set URL of the Vault that a credential names, and whether the Vault is known to have each key."""
    with db.read() as tx:
        credential = manageable(tx, caller, credential_id)
        verifier = verifiers.find(tx, credential)
        return _answer(tx, credential, verifier, settings.own_jwks_url(verifier.name), clock.now())


@router.delete("/{credential_id}/jwks-url", status_code=204)
def take_back(credential_id: UUID, caller: Caller, db: Db, clock: Now) -> None:
    """Forget whose key set URL it is. The keys are served there all the same, so that no login depends on it."""
    with db.write() as tx:
        verifiers.take_back(tx, manageable(tx, caller, credential_id), caller, clock.now())


def _answer(
    tx: Transaction, credential: StoredCredential, verifier: Verifier, jwks_url: str, now: datetime
) -> JwksUrlAnswer:
    place = place_of(credential)
    keys = [key for key in list_records(tx, SHARED) if key.state in SHOWN]
    return JwksUrlAnswer(
        credential_id=credential.id,
        jwks_url=jwks_url,
        namespace=place.namespace,
        auth_mount_path=place.mount,
        created_by=verifier.created_by,
        created_at=verifier.created_at,
        keys=[_standing(tx, credential, verifier, key, now) for key in keys],
    )


def _standing(
    tx: Transaction, credential: StoredCredential, verifier: Verifier, key: KeyRecord, now: datetime
) -> KeyStandingAnswer:
    place = place_of(credential)
    vault = KnownVault(
        organization_id=credential.organization_id,
        place=place,
        credentials=(credential,),
        verifier=verifier.name,
    )
    checks = key_check_store.checks_of(tx, credential.organization_id, place, key.kid)
    found = confirmation(vault, checks, now)
    return KeyStandingAnswer(
        key_id=key.kid,
        state=key.state,
        standing=found.standing,
        seen_at=found.seen_at,
        why=found.why,
        said=found.said,
    )
