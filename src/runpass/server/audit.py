"""Writing the audit trail: who did what to what, when. Append-only; never a token, a secret or a value that was sent.

Only records: an event is written in the very transaction of the change it speaks of. Each organization's events are a
chain of hashes, the instance's own are another one; `trail` reads, verifies and prunes them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from runpass.ids import new_id
from runpass.server.db.engine import Transaction, ending, insert_into
from runpass.server.db.schema.audit import audit_events, audit_heads
from runpass.server.http.origin import Origin, origin

INSTANCE_CHAIN: Final = UUID(int=0)
"""The chain of what belongs to no organization."""

BEGINNING: Final = bytes(32)
"""What stands for the previous hash of a chain's first event."""

_FORMAT: Final = "runpass audit event 1"
_in_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One fact. `action` is `noun.verb` (`deployment.queued`); `detail` holds ids and names only."""

    at: datetime
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    organization_id: UUID | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


def record(tx: Transaction, event: AuditEvent, came_from: Origin | None = None) -> None:
    """Write an event in the transaction of the change itself: neither can be there without the other.

    The row appears right before the commit, after those of earlier calls: the chain's lock is every transaction's last
    one, so no two can wait for each other. `came_from` is for whoever writes for another request than its own.
    Raises `RunpassError` outside of `Database.write`.
    """
    ending(tx, _Collected).add(event, came_from or origin())


def hold_chains(tx: Transaction, organization_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Take the locks of chains before the end of the transaction; give the number of each one's last event.

    For whoever has to look at something once more: what is read after it is as every event says that stands before
    those of this transaction, each of which was committed together with its change. It must be given all chains that
    the transaction writes to, and nothing else may be locked after it: then no two wait for each other.
    """
    return ending(tx, _Collected).hold(tx, organization_ids)


def link_hash(previous: bytes, row: Mapping[str, Any]) -> bytes:
    """Give the SHA-256 that ties an event to the one before it.

    SECURITY: every part is preceded by its length, so that no two events have the same encoding. The encoding is part
    of the stored format (docs/explanation/audit-trail.md): another one needs another first part.
    """
    parts = (
        _FORMAT,
        previous.hex(),
        str(row["chain"]),
        str(row["seq"]),
        str(row["id"]),
        row["at"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        str(row["organization_id"] or ""),
        row["actor"],
        row["action"],
        row["subject_kind"],
        row["subject_id"],
        _in_json(row["detail"]),
        row["request_id"],
        row["address"],
    )
    encoded = [part.encode() for part in parts]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in encoded)).digest()


class _Collected:
    """The events of one transaction, by chain."""

    def __init__(self) -> None:
        self._rows: dict[UUID, list[dict[str, Any]]] = {}
        self._heads: dict[UUID, tuple[int, bytes]] = {}

    def hold(self, tx: Transaction, chains: Iterable[UUID]) -> dict[UUID, int]:
        """Lock chains, always in the same order; give the number of the last event of each."""
        for chain in sorted(set(chains) - self._heads.keys()):
            self._heads[chain] = _locked_head(tx, chain)
        return {chain: seq for chain, (seq, _) in self._heads.items()}

    def add(self, event: AuditEvent, came_from: Origin) -> None:
        """Take an event, as it is now."""
        chain = event.organization_id or INSTANCE_CHAIN
        row = {
            "id": new_id(),
            "at": event.at,
            "organization_id": event.organization_id,
            "actor": event.actor,
            "action": event.action,
            "subject_kind": event.subject_kind,
            "subject_id": event.subject_id,
            "detail": dict(event.detail),
            "chain": chain,
            "request_id": came_from.request_id,
            "address": came_from.address,
        }
        self._rows.setdefault(chain, []).append(row)

    def finish(self, tx: Transaction) -> None:
        """Append the events to their chains, always in the same order of chains."""
        self.hold(tx, self._rows)
        for chain in sorted(self._rows):
            _append(tx, self._heads[chain], self._rows[chain])


def _append(tx: Transaction, head: tuple[int, bytes], rows: list[dict[str, Any]]) -> None:
    seq, last = head
    for row in rows:
        seq += 1
        row["seq"] = seq
        row["hash"] = last = link_hash(last, row)
    tx.execute(audit_events.insert(), rows)  # the head follows by a trigger, which lets nothing stand anywhere else


def _locked_head(tx: Transaction, chain: UUID) -> tuple[int, bytes]:
    """Give the head of a chain and keep everybody else from appending; a chain begins when it is first asked for."""
    head = select(audit_heads.c.seq, audit_heads.c.hash).where(audit_heads.c.chain == chain).with_for_update()
    found = tx.execute(head).one_or_none()
    if found is None:
        beginning = insert_into(tx, audit_heads).values(chain=chain, seq=0, hash=BEGINNING)
        tx.execute(beginning.on_conflict_do_nothing())
        found = tx.execute(head).one()
    return found.seq, found.hash
