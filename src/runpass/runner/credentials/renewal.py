"""Keeping a Vault token alive for as long as its run goes on.

Roles give tokens that live for minutes, so that what a crashed runner leaves behind is soon over; renewal is what
makes a run longer than that possible. A token that cannot be renewed, or not any further, is left as it is.
"""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from runpass.vault.errors import VaultFailure
from runpass.vault.session import VaultSession

log = structlog.get_logger()
SHARE: Final = 0.5
"""Of what a token has left: renewal at half time leaves room for several more tries."""
LEAST_SECONDS: Final = 1.0


async def keep_alive(session: VaultSession) -> None:
    """Renew the session's token again and again, until it can be renewed no further or the caller cancels."""
    left = session.granted.ttl
    while session.granted.renewable and left > timedelta(0):
        await asyncio.sleep(max(left.total_seconds() * SHARE, LEAST_SECONDS))
        try:
            left = await asyncio.to_thread(session.renew)
        except VaultFailure as error:
            log.warning("vault_token_not_renewed", code=error.code, error=error.message)
            left *= SHARE
            if left.total_seconds() < LEAST_SECONDS:
                return
