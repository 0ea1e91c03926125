"""The key rings of this process: in memory, compared with the database every half second, replaced whole.

The hot path asks no database. What is in memory may therefore be older than what is stored, and how old is known:
past `stale_after` nothing is signed, because another server may have retired or killed the key; past
`documents_stale_after` nothing is published, because a key may sign by then that is not in the document.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from runpass.clock import Clock
from runpass.errors import Unavailable
from runpass.server.db.encryption import Cipher, CorruptColumn
from runpass.server.db.engine import Database, Transaction
from runpass.server.issuer import store
from runpass.server.issuer.confirming import Confirming, Nobody
from runpass.server.issuer.key_life import KeyLife
from runpass.server.issuer.keys import SHARED, IssuerScope, KeyRecord, KeyState, SigningKey
from runpass.server.issuer.publishable import publishable
from runpass.server.issuer.ring import KeyRing
from runpass.server.issuer.rotation import Policy, next_change

_log = structlog.get_logger(__name__)
REFRESH_EVERY_SECONDS: Final = 0.5
STUCK: Final = timedelta(minutes=1)
"""How long nothing is tried with keys that could not be moved on."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A ring, and from when on there is something to do with its keys."""

    ring: KeyRing
    due: datetime | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read, up to which change, and when the reading began, on both clocks."""

    rings: Mapping[IssuerScope, "_Kept"]
    change: int
    monotonic: float
    wall: float


class Rings:
    """Rings by issuer: the shared one from the start, an organization's once it was asked for."""

    def __init__(self, life: KeyLife) -> None:
        self._life = life
        self._turn = threading.Lock()
        self._seen = _Seen({}, -1, 0.0, 0.0)
        self.shared = LiveRing(self, SHARED)

    @property
    def policy(self) -> Policy:
        """Give what the operator decided about the life of keys."""
        return self._life.policy

    def open(self) -> None:
        """Read the shared issuer's keys; the first start of all makes the first one.

        Raises `CorruptColumn` when the key that signs does not open.
        """
        self._load(SHARED)
        for key in self.last_read(SHARED).withheld:
            if key.state is KeyState.ACTIVE:
                with self._life.database.read() as tx:
                    store.load_key(tx, self._life.cipher, key)

    def ring_for(self, issuer: IssuerScope) -> "LiveRing":
        """Give the ring of an issuer. The first time it is read from the database, and its first key made.

        Only what somebody asked for is in memory: there may be ten thousand organizations.
        """
        if issuer not in self._seen.rings:
            self._load(issuer)
        return LiveRing(self, issuer)

    def tend(self) -> None:
        """Catch up with the database, and move on the keys whose time has come."""
        self.refresh()
        now = self._life.clock.now()
        for issuer, kept in self._seen.rings.items():
            if kept.due is None or kept.due > now:
                continue
            if self._moved_on(issuer):
                self.refresh()
            else:
                self._put_off(issuer, now + STUCK)

    def refresh(self) -> None:
        """Read again whatever has changed since the last time; usually that is one small query."""
        with self._turn:
            monotonic, wall = self._times()
            with self._life.database.read() as tx:
                change = store.last_change(tx)
                rings = dict(self._seen.rings)
                for issuer in self._changed(tx, change) & rings.keys():
                    rings[issuer] = self._kept(tx, issuer)
            self._seen = _Seen(rings, change, monotonic, wall)

    def age(self) -> timedelta:
        """Give how long ago the database was read: the longer of both clocks, since one stands still in a sleep."""
        monotonic, wall = self._times()
        seen = self._seen
        return timedelta(seconds=max(monotonic - seen.monotonic, wall - seen.wall))

    def now(self) -> datetime:
        """Give the time as this process has it."""
        return self._life.clock.now()

    @property
    def seen_change(self) -> int:
        """Give the number of the last change of keys that this process has in memory."""
        return self._seen.change

    def last_read(self, issuer: IssuerScope) -> KeyRing:
        """Give the ring as it was read last, however long ago."""
        return self._seen.rings[issuer].ring

    def _changed(self, tx: Transaction, change: int) -> set[IssuerScope]:
        if change == self._seen.change:
            return set()
        if change < self._seen.change:  # the database is another one: it was restored
            return set(self._seen.rings)
        return store.changed_issuers(tx, self._seen.change)

    def _load(self, issuer: IssuerScope) -> None:
        self._moved_on(issuer)
        with self._turn:
            monotonic, wall = self._times()
            with self._life.database.read() as tx:
                kept = self._kept(tx, issuer)
                change = store.last_change(tx)
            seen = self._seen
            if not seen.rings:
                self._seen = _Seen({issuer: kept}, change, monotonic, wall)
            else:  # the others were not read now
                self._seen = _Seen({**seen.rings, issuer: kept}, seen.change, seen.monotonic, seen.wall)

    def _kept(self, tx: Transaction, issuer: IssuerScope) -> _Kept:
        ring = load_ring(tx, self._life.cipher, issuer)
        return _Kept(ring, next_change((*ring.keys, *ring.withheld), self.policy))

    def _moved_on(self, issuer: IssuerScope) -> bool:
        """Move on the keys of one issuer. What is wrong with them must not stop those of the others."""
        try:
            return self._life.move_on(issuer)
        except CorruptColumn as error:
            _log.error("signing_key.stuck", organization_id=str(issuer or ""), reason=error.message)
            return False

    def _put_off(self, issuer: IssuerScope, until: datetime) -> None:
        with self._turn:
            seen = self._seen
            self._seen = replace(seen, rings={**seen.rings, issuer: replace(seen.rings[issuer], due=until)})

    def _times(self) -> tuple[float, float]:
        return self._life.clock.monotonic(), self._life.clock.now().timestamp()


class LiveRing:
    """The ring of one issuer, as it is at the moment of asking."""

    def __init__(self, rings: Rings, issuer: IssuerScope) -> None:
        self._rings = rings
        self._issuer = issuer

    @property
    def current(self) -> KeyRing:
        """Give the ring to publish. Raises `Unavailable` when it is too old to be right."""
        if self._rings.age() > self._rings.policy.documents_stale_after:
            raise Unavailable("the published keys cannot be compared with the database right now")
        return self._rings.last_read(self._issuer)

    @property
    def signing(self) -> SigningKey:
        """Give the key to sign with. Raises `Unavailable` when there is none, or none that is known to sign still.

        SECURITY: a server that cannot see whether the key was retired or killed does not sign with it.
        """
        if self._rings.age() > self._rings.policy.stale_after:
            self._rings.refresh()
        return self._rings.last_read(self._issuer).signing

    @property
    def last_read(self) -> KeyRing:
        """Give the ring as it was read last, however long ago: for those who look after the server."""
        return self._rings.last_read(self._issuer)


def open_rings(
    database: Database,
    cipher: Cipher,
    clock: Clock,
    policy: Policy | None = None,
    confirming: Confirming | None = None,
) -> Rings:
    """Give the key rings of a process, the shared issuer's ready to sign.

    Raises `CorruptColumn` when the active key does not open.
    """
    rings = Rings(KeyLife(database, cipher, clock, policy or Policy(), confirming or Nobody()))
    rings.open()
    return rings


def load_ring(tx: Transaction, cipher: Cipher, issuer: IssuerScope) -> KeyRing:
    """Read the ring of one issuer. A key that does not open is withheld; if it is the active one, nothing is signed."""
    keys: list[KeyRecord] = []
    withheld: list[KeyRecord] = []
    for key, sealed in store.list_sealed(tx, issuer):
        fit = _fit(cipher, key, sealed)
        (keys if fit else withheld).append(fit or key)
    return KeyRing(tuple(keys), tuple(withheld))


def _fit(cipher: Cipher, key: KeyRecord, sealed: bytes) -> KeyRecord | None:
    """Give the key as it is put into the ring; None, and an error in the log, when it must not be published."""
    try:
        opened = store.open_key(cipher, key, sealed)
    except CorruptColumn as error:
        _log.error("signing_key.withheld", kid=key.kid, reason=error.message)
        return None
    if not publishable(key.public_jwk):
        _log.error("signing_key.withheld", kid=key.kid, reason="no relying party could be sure to read it")
        return None
    return opened if key.state is KeyState.ACTIVE else key
