"""Who fetches the published keys: what this room is told of them, and asks about them, without knowing who they are.

A key set can be fetched at URLs of their own (`jwks/<name>.json`, the same keys). Somebody else gives out such names,
and decides from what arrives who has seen which key.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from runpass.server.db.engine import Transaction
from runpass.server.issuer.keys import IssuerScope, KeyRecord

OnFetch = Callable[[str, frozenset[str]], None]
"""Told the name in the URL, whoever made it up, and the ids of the keys that are sent. It must wait for nothing."""


class Confirming(Protocol):
    """Who is to confirm that they have seen a new key before it signs."""

    def is_awaited(self, tx: Transaction, issuer: IssuerScope) -> bool:
        """Whether there is anybody to wait for, at the moment at which a key is published."""
        ...

    def not_confirmed(self, tx: Transaction, key: KeyRecord, now: datetime) -> str:
        """Give who has not, for the audit trail; asked when a key signs without their confirmation."""
        ...


class Nobody:
    """Nobody confirms anything."""

    def is_awaited(self, tx: Transaction, issuer: IssuerScope) -> bool:  # noqa: ARG002 -- the protocol's signature
        """There is nobody."""
        return False

    def not_confirmed(self, tx: Transaction, key: KeyRecord, now: datetime) -> str:  # noqa: ARG002 -- as above
        """There is nobody."""
        return ""
