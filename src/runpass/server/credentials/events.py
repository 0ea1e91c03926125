"""What the audit trail says of a credential, whoever changes it and through whichever door."""

from collections.abc import Mapping
from datetime import datetime

from runpass.server.access.actors import Actor
from runpass.server.audit import AuditEvent
from runpass.server.credentials.model import StoredCredential


def credential_event(
    credential: StoredCredential, actor: Actor, action: str, at: datetime, detail: Mapping[str, str] | None = None
) -> AuditEvent:
    """Give the event of something that was done with a credential; its name and type are always told."""
    about = {"name": credential.name, "type": credential.kind.value, **(detail or {})}
    return AuditEvent(at, actor.audit_name, action, "credential", str(credential.id), credential.organization_id, about)
