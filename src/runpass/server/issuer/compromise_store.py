"""Every query on compromised keys and their probes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, select, update

from runpass.ids import new_id
from runpass.secret import Secret
from runpass.server.db.encryption import Cipher, Place
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.compromises import key_compromises, key_probes
from runpass.server.issuer.keys import IssuerScope, KeyState

HELD: Final = timedelta(minutes=2)
"""How long servers leave the fresh key to whoever stopped the bad one; then they make one by themselves."""
_MOMENTS: Final = (
    "stopped_at",
    "acknowledged_at",
    "probes_at",
    "destroyed_at",
    "replaced_at",
    "withdrawn_at",
    "cured_at",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compromise:
    """How far the cure of one key is. A moment that is there says that the step is done."""

    kid: str
    issuer: IssuerScope
    was: KeyState
    change: int
    """The change of keys with which it was stopped: whoever has seen it neither signs with it nor publishes it."""
    actor: str
    stopped_at: datetime
    acknowledged_at: datetime | None = None
    probes_at: datetime | None = None
    destroyed_at: datetime | None = None
    replaced_at: datetime | None = None
    replacement_kid: str | None = None
    withdrawn_at: datetime | None = None
    cured_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """A token that was always expired, and whose Vault it is for."""

    credential_id: UUID
    organization_id: UUID | None
    token: Secret


def insert_compromise(tx: Transaction, found: Compromise) -> None:
    """Store that a key is compromised."""
    moments = {name: getattr(found, name) for name in _MOMENTS}
    values = {"kid": found.kid, "organization_id": found.issuer, "was": found.was.value, "change_seq": found.change}
    tx.execute(key_compromises.insert().values(**values, actor=found.actor, **moments))


def get_compromise(tx: Transaction, kid: str) -> Compromise | None:
    """Give how far the cure of a key is; None for a key that nobody has called compromised."""
    row = tx.execute(select(key_compromises).where(key_compromises.c.kid == kid)).one_or_none()
    return None if row is None else _compromise(row)


def mark_once(tx: Transaction, kid: str, step: str, now: datetime, **values: str) -> bool:
    """Write that a step is done, unless that is written already; whether it was this call. `step` is a moment's name.

    Whoever is second waits here until the first one has committed, and then does nothing.
    """
    first = (key_compromises.c.kid == kid) & key_compromises.c[step].is_(None)
    return tx.execute(update(key_compromises).where(first).values({step: now, **values})).rowcount == 1


def is_held(tx: Transaction, issuer: IssuerScope, now: datetime) -> bool:
    """Whether somebody is about to start a fresh key for this issuer, so that no server makes or activates one."""
    column = key_compromises.c.organization_id
    mine = column.is_(None) if issuer is None else column == issuer
    waiting = key_compromises.c.replaced_at.is_(None) & (key_compromises.c.was == KeyState.ACTIVE.value)
    recent = key_compromises.c.stopped_at > now - HELD
    return tx.execute(select(key_compromises.c.kid).where(mine, waiting, recent).limit(1)).one_or_none() is not None


def insert_probe(tx: Transaction, cipher: Cipher, kid: str, probe: Probe) -> None:
    """Store a probe, sealed to its row and its organization."""
    probe_id = new_id()
    place = _place(probe_id, probe.organization_id)
    values = {
        "id": probe_id,
        "kid": kid,
        "credential_id": probe.credential_id,
        "organization_id": probe.organization_id,
        "probe_sealed": cipher.seal(probe.token.reveal().encode(), place),
    }
    tx.execute(key_probes.insert().values(**values))


def probe_for(tx: Transaction, cipher: Cipher, kid: str, credential_id: UUID, spare: UUID) -> Secret | None:
    """Give the probe of a key for a credential, or else the one that belongs to none; None when there is neither.

    Raises `CorruptColumn` when it does not open.
    """
    wanted = (key_probes.c.kid == kid) & key_probes.c.credential_id.in_([credential_id, spare])
    rows = {row.credential_id: row for row in tx.execute(select(key_probes).where(wanted))}
    row = rows.get(credential_id) or rows.get(spare)
    if row is None:
        return None
    place = _place(row.id, row.organization_id)
    return Secret(cipher.unseal(row.probe_sealed, place).decode())


def forget_probes(tx: Transaction, kid: str) -> None:
    """Delete the probes of a key."""
    tx.execute(delete(key_probes).where(key_probes.c.kid == kid))


def _place(probe_id: UUID, organization_id: UUID | None) -> Place:
    return Place("key_probes", "probe_sealed", str(probe_id), organization_id)


def _compromise(row: Row[Any]) -> Compromise:
    return Compromise(
        kid=row.kid,
        issuer=row.organization_id,
        was=KeyState(row.was),
        change=row.change_seq,
        actor=row.actor,
        replacement_kid=row.replacement_kid,
        **{name: getattr(row, name) for name in _MOMENTS},
    )
