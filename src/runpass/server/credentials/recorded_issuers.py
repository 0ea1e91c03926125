"""Which issuer the Vaults of an organization trust, as far as `runpass vault apply` recorded it.

Nobody vouches for what was recorded, and a config may have been changed by hand since: it warns, and decides nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from runpass.ids import CredentialId, OrganizationId
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import Page, list_credentials
from runpass.server.db.engine import Transaction

MOST_LOOKED_AT: Final = 500
"""Credentials of an organization, the oldest, whose Vaults are looked at."""


@dataclass(frozen=True, slots=True)
class RecordedIssuer:
    """The issuer that the auth mount of a credential trusts: it refuses the tokens of every other one."""

    credential_id: CredentialId
    credential_name: str
    address: str
    namespace: str
    mount: str
    issuer: str


def recorded_issuers(tx: Transaction, organization_id: OrganizationId) -> list[RecordedIssuer]:
    """Give the issuers that were recorded for an organization's credentials, oldest first."""
    found = list_credentials(tx, organization_id, page=Page(MOST_LOOKED_AT))
    return [one for credential in found if (one := _recorded(credential)) is not None]


def trusting_another(found: Iterable[RecordedIssuer], issuer_url: str) -> list[RecordedIssuer]:
    """Give those that refuse every token of this issuer."""
    return [one for one in found if one.issuer != issuer_url]


def _recorded(credential: StoredCredential) -> RecordedIssuer | None:
    issuer = _issuer((credential.recorded or {}).get("config"))
    if not issuer:
        return None
    clear = credential.value.clear
    address, namespace, mount = (str(clear.get(name) or "") for name in ("address", "namespace", "jwtAuthBackendPath"))
    return RecordedIssuer(credential.id, credential.name, address, namespace, mount, issuer)


def _issuer(config: object) -> str:
    """Give the `iss` that a config of an auth mount asks for; empty where it asks for none, or cannot be read."""
    try:
        read: Any = json.loads(str(config or ""))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(read, dict):
        return ""
    issuer = read.get("bound_issuer") or read.get("oidc_discovery_url")
    return issuer if isinstance(issuer, str) else ""
