"""The records of this room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from runpass.ids import AssignmentId, CredentialId, OrganizationId, ProjectId
from runpass.protocol.credentials import CredentialKind, TokenFormat, audience, is_clear_text

MOST_CREDENTIALS: Final = 2_000
"""Of one organization. SECURITY: a rotation and the cure of a leaked key, which are everybody's, go through all."""


@dataclass(frozen=True, slots=True)
class SealedValue:
    """A credential's value as it is stored: what is secret in it opens only with `sealing.unseal`."""

    clear: Mapping[str, Any]
    """Wire name → what was validated; nothing secret."""
    secret: bytes | None = field(default=None, repr=False)

    @property
    def is_clear_text(self) -> bool:
        """Whether this names a Vault whose token would cross a network unencrypted; never so for other kinds."""
        address = self.clear.get("address")
        return isinstance(address, str) and is_clear_text(address)

    def audience(self, shared: str, credential_id: UUID) -> str:
        """Give the `aud` of the login token of this Vault credential; `shared` is the issuer's."""
        token_format = cast("TokenFormat", self.clear["tokenFormat"])
        return audience(token_format, "vault", shared=shared, credential_id=credential_id)


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A credential. With a `project_id` it is for that project and its sub-projects, without for all."""

    id: CredentialId
    organization_id: OrganizationId
    project_id: ProjectId | None
    name: str
    kind: CredentialKind
    value: SealedValue
    created_by: str
    created_at: datetime
    updated_at: datetime
    recorded: Mapping[str, Any] | None = None
    """What `runpass vault apply` wrote at the Vault: a `RecordedRole`."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """That a project may use a credential."""

    id: AssignmentId
    organization_id: OrganizationId
    credential_id: CredentialId
    project_id: ProjectId
    created_by: str
    created_at: datetime
