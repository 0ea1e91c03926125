"""The records of this room."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runpass.ids import OrganizationId, RelyingPartyId

MOST_AUDIENCES: Final = 20
"""Audiences of one relying party."""
MOST_RELYING_PARTIES: Final = 200
"""Relying parties of one organization."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """A service that may ask about tokens of its organization whose audience is one of these."""

    id: RelyingPartyId
    organization_id: OrganizationId
    name: str
    audiences: tuple[str, ...]
    created_by: str
    created_at: datetime
