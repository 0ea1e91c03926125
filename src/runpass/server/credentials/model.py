"""The records of this room."""

from dataclasses import dataclass
from datetime import datetime

from runpass.ids import AssignmentId, CredentialId, OrganizationId, ProjectId
from runpass.protocol.credentials import Credential, CredentialKind


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A credential. With a `project_id` it is for that project and its sub-projects, without for all."""

    id: CredentialId
    organization_id: OrganizationId
    project_id: ProjectId | None
    name: str
    kind: CredentialKind
    value: Credential
    created_by: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Assignment:
    """That a project may use a credential."""

    id: AssignmentId
    organization_id: OrganizationId
    credential_id: CredentialId
    project_id: ProjectId
    created_by: str
    created_at: datetime
