"""Exporting: the events as records for another system, with all that is needed to verify them there."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from runpass.clock import Clock
from runpass.errors import NotFound
from runpass.server.audit import INSTANCE_CHAIN, AuditEvent, record
from runpass.server.db.engine import Database
from runpass.server.trail import store
from runpass.server.trail.store import Mark


def export(database: Database, organization: UUID | None, *, actor: str, clock: Clock) -> Iterator[dict[str, Any]]:
    """Give the events of one organization, or of all chains, as JSON objects, oldest first.

    The export itself is recorded before its first event is given. Raises `NotFound` for an unknown organization.
    """
    with database.write() as tx:
        chains = sorted(store.chains(tx))
        if organization is not None:
            chains = [chain for chain in chains if chain == organization]
        if not chains and organization is not None:
            raise NotFound("there is no audit trail of this organization")
        for chain in chains:
            about = None if chain == INSTANCE_CHAIN else chain
            record(tx, AuditEvent(clock.now(), actor, "audit.exported", "audit_chain", str(chain), about))
    return (line for chain in chains for line in _lines(database, chain))


def _lines(database: Database, chain: UUID) -> Iterator[dict[str, Any]]:
    """Give a chain's events. No transaction is open while whoever reads them takes their time."""
    with database.read() as tx:
        last = store.beginning(tx, chain)
        head = store.head(tx, chain) or last
    while last.seq < head.seq:
        with database.read() as tx:
            rows = store.following(tx, chain, last.seq)
        if not rows:
            return
        for row in rows:
            yield _line(row, last)
            last = Mark(row.seq, row.hash)


def _line(row: Row[Any], previous: Mark) -> dict[str, Any]:
    return {
        "chain": str(row.chain),
        "sequence": row.seq,
        "id": str(row.id),
        "at": row.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "organizationId": str(row.organization_id) if row.organization_id else None,
        "actor": row.actor,
        "action": row.action,
        "subjectKind": row.subject_kind,
        "subjectId": row.subject_id,
        "detail": row.detail,
        "requestId": row.request_id,
        "address": row.address,
        "previousHash": previous.hash.hex(),
        "hash": row.hash.hex(),
    }
