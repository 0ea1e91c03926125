"""The Vaults that this installation knows: each auth mount that a credential of an organization names.

What a Vault trusts is decided by the config of its auth mount, so one is known by address, namespace and mount, and
the credentials that name it are ways to reach it. Organizations do not share what they know.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from runpass.ids import OrganizationId
from runpass.protocol.credentials import CredentialKind
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import Page, list_credentials, page_of_kind
from runpass.server.db.engine import Transaction
from runpass.server.tenancy.store import with_own_issuer
from runpass.server.vault_tasks import verifier_store

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Which auth mount of which Vault: as a credential names it."""

    address: str
    namespace: str
    mount: str

    @property
    def sha256(self) -> bytes:
        """Give what stands for the place in an index."""
        return hashlib.sha256(json.dumps([self.address, self.namespace, self.mount]).encode()).digest()

    def __str__(self) -> str:
        within = f" namespace {self.namespace}" if self.namespace else ""
        return f"{self.address}{within} auth/{self.mount}"


class Keys(StrEnum):
    """How a Vault gets the issuer's keys, as far as it can be known here."""

    OWN_URL = "own-url"
    """It was given a key set URL of its own."""
    SHARED_URL = "shared-url"
    PUSHED = "pushed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVault:
    """A Vault as one organization knows it."""

    organization_id: OrganizationId
    place: Place
    credentials: tuple[StoredCredential, ...]
    """Those that name it, oldest first; never empty."""
    verifier: str | None
    """The name in its own key set URL, if it was given one."""

    @property
    def keys(self) -> Keys:
        """Give how it gets its keys. Read only when asked for: what was recorded may be long."""
        if self.verifier is not None:
            return Keys.OWN_URL
        return next((found for item in self.credentials if (found := _recorded(item))), Keys.UNKNOWN)


def place_of(credential: StoredCredential) -> Place:
    """Give which Vault a Vault OIDC credential names."""
    clear = credential.value.clear
    return Place(*(str(clear.get(name) or "") for name in ("address", "namespace", "jwtAuthBackendPath")))


def known_vaults(tx: Transaction, *, of_shared_issuer: bool = False) -> tuple[KnownVault, ...]:
    """Give every known Vault of every organization, or of those whose tokens are the shared issuer's."""
    verifiers: dict[tuple[OrganizationId, bytes], str] = {}
    found: dict[tuple[OrganizationId, Place], list[StoredCredential]] = {}
    for page in _credentials(tx):
        if of_shared_issuer:
            own = with_own_issuer(tx, {credential.organization_id for credential in page})
            page = [credential for credential in page if credential.organization_id not in own]  # noqa: PLW2901
        for item in verifier_store.list_verifiers(tx, {credential.organization_id for credential in page}):
            verifiers[item.organization_id, item.place_sha256] = item.name
        for credential in page:
            found.setdefault((credential.organization_id, place_of(credential)), []).append(_lean(credential))
    return tuple(
        KnownVault(
            organization_id=organization_id,
            place=place,
            credentials=tuple(credentials),
            verifier=verifiers.get((organization_id, place.sha256)),
        )
        for (organization_id, place), credentials in found.items()
    )


def vaults_of(tx: Transaction, organization_id: OrganizationId, most: int) -> tuple[KnownVault, ...]:
    """Give the Vaults that one organization knows, from the `most` oldest of its credentials."""
    verifiers = {item.place_sha256: item.name for item in verifier_store.list_verifiers(tx, {organization_id})}
    found: dict[Place, list[StoredCredential]] = {}
    for credential in list_credentials(tx, organization_id, page=Page(most)):
        if credential.kind is CredentialKind.VAULT_OIDC:
            found.setdefault(place_of(credential), []).append(credential)
    return tuple(
        KnownVault(
            organization_id=organization_id,
            place=place,
            credentials=tuple(credentials),
            verifier=verifiers.get(place.sha256),
        )
        for place, credentials in found.items()
    )


def _credentials(tx: Transaction) -> Iterator[list[StoredCredential]]:
    after = UUID(int=0)
    while page := page_of_kind(tx, CredentialKind.VAULT_OIDC, after, PAGE):
        yield page
        after = page[-1].id


def _lean(credential: StoredCredential) -> StoredCredential:
    """Leave out what is long and not asked for here: all credentials are in memory together."""
    if not credential.recorded:
        return credential
    return replace(credential, recorded={"config": credential.recorded.get("config", "")})


def _recorded(credential: StoredCredential) -> Keys | None:
    """Give what `runpass vault apply` recorded. Nobody vouches for it: it is shown, and decides nothing."""
    try:
        config: Any = json.loads(str((credential.recorded or {}).get("config", "")))
    except (ValueError, RecursionError):
        return None
    if not isinstance(config, dict):
        return None
    if config.get("jwt_validation_pubkeys"):
        return Keys.PUSHED
    return Keys.SHARED_URL if config.get("jwks_url") or config.get("oidc_discovery_url") else None
