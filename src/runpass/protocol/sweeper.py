"""The control plane's own kind of token: with it a runner revokes Vault tokens that runs have left behind.

`runpass vault apply` writes the role that accepts it, and nothing else accepts it.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

API_KEY_TYPE: Final = "runpass-sweeper"
ROLE: Final = "runpass-sweeper"
TOKEN_LIFETIME: Final = timedelta(seconds=60)


def subject(organization_id: UUID) -> str:
    """Give `sub`: no run's, since those are the organization's own subject."""
    return f"runpass-sweeper:{organization_id}"


def audience(organization_id: UUID) -> str:
    """Give `aud`: one for each organization, and no run's."""
    return f"urn:runpass:sweeper:{organization_id}"
