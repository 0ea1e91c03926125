"""What was signed with one key, as the audit trail has it: every token that was made here, and none that was forged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from runpass.server.db.engine import Transaction
from runpass.server.trail import store
from runpass.server.trail.store import PAGE, Wanted

MINTED: Final = "identity_token.minted"
_OUT_OF_ORDER: Final = timedelta(minutes=10)
"""How much earlier than an event before it an event may say that it happened: a transaction that took long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    """A token that was made here. It is named by its `jti`; the token itself is kept nowhere."""

    at: datetime
    organization_id: UUID
    subject_kind: str
    """`deployment` for a run, else what the token was for."""
    subject_id: str
    runner: str
    audience: str
    jti: str
    expires_at: str


def minted_with(tx: Transaction, kid: str, since: datetime) -> Iterator[MintedToken]:
    """Give all tokens that were signed with a key since then, organization by organization, newest first."""
    for chain in sorted(store.chains(tx)):
        for row in _events_since(tx, chain, since):
            detail: Mapping[str, Any] = row.detail
            if detail.get("kid") == kid:
                yield _token(row, detail)


def _events_since(tx: Transaction, chain: UUID, since: datetime) -> Iterator[Row[Any]]:
    before: int | None = None
    while True:
        rows = store.newest(tx, chain, Wanted(PAGE, before=before, action=MINTED))
        yield from (row for row in rows if row.at >= since)
        if len(rows) < PAGE or rows[-1].at < since - _OUT_OF_ORDER:
            return
        before = rows[-1].seq


def _token(row: Row[Any], detail: Mapping[str, Any]) -> MintedToken:
    return MintedToken(
        at=row.at,
        organization_id=row.chain,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        runner=row.actor,
        audience=str(detail.get("audience", "")),
        jti=str(detail.get("jti", "")),
        expires_at=str(detail.get("expiresAt", "")),
    )
