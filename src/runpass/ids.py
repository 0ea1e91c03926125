"""Typed ids: an environment's id cannot be passed where a project's is wanted, and costs nothing at run time.

All ids are UUIDv7 (RFC 9562, section 5.7): sortable by time of creation, and parsed as a UUID by env0's clients,
which decide "id or name" that way.
"""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

OrganizationId = NewType("OrganizationId", UUID)
ProjectId = NewType("ProjectId", UUID)
EnvironmentId = NewType("EnvironmentId", UUID)
TemplateId = NewType("TemplateId", UUID)
CredentialId = NewType("CredentialId", UUID)
AssignmentId = NewType("AssignmentId", UUID)
VariableId = NewType("VariableId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)
PersonId = NewType("PersonId", UUID)
DeploymentId = NewType("DeploymentId", UUID)
RunLeaseId = NewType("RunLeaseId", UUID)
RunnerId = NewType("RunnerId", UUID)
PoolId = NewType("PoolId", UUID)
JoinTokenId = NewType("JoinTokenId", UUID)
VaultTaskId = NewType("VaultTaskId", UUID)
VaultLoginId = NewType("VaultLoginId", UUID)
SessionId = NewType("SessionId", UUID)
RelyingPartyId = NewType("RelyingPartyId", UUID)


def new_id() -> UUID:
    """Give a fresh UUIDv7; wrap it in the type it is for, as in `ProjectId(new_id())`."""
    return uuid7()
