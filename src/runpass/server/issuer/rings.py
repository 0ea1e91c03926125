"""The key rings of this process: in memory, compared with the database every half second, replaced whole.

The hot path asks no database. What is in memory may therefore be older than what is stored, and how old is known:
past `stale_after` nothing is signed, because another server may have retired or killed the key; past
`documents_stale_after` nothing is published, because a key may sign by then that is not in the document.

Which organizations have an issuer of their own is in memory, too, as ids alone. Their rings are read when they are
first asked for. Those that nobody asks for are looked after a few at a time, so that their keys rotate all the same.
"""

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from runpass.clock import Clock
from runpass.errors import Unavailable
from runpass.server.db.encryption import Cipher, CorruptColumn
from runpass.server.db.engine import Database, Transaction
from runpass.server.issuer import store
from runpass.server.issuer.confirming import Confirming, Nobody
from runpass.server.issuer.ending import Chosen, everybody
from runpass.server.issuer.key_life import KeyLife
from runpass.server.issuer.keys import SHARED, IssuerScope, KeyRecord, KeyState, SigningKey
from runpass.server.issuer.publishable import publishable
from runpass.server.issuer.ring import KeyRing
from runpass.server.issuer.rotation import Policy

_log = structlog.get_logger(__name__)
REFRESH_EVERY_SECONDS: Final = 0.5
STUCK: Final = timedelta(minutes=1)
"""How long nothing is tried with keys that could not be moved on."""
MOST_IN_MEMORY: Final = 16_384
"""Rings of organizations that a process keeps: about 200 MB with RSA keys that have all signed, a third with others."""
_IDS_AT_ONCE: Final = 500
LOOKED_AFTER_AT_ONCE: Final = 5
"""Issuers that nobody asked for whose keys are looked after each time: ten thousand in a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A ring, and from when on there is something to do with its keys."""

    ring: KeyRing
    due: datetime | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read, up to which change, and when the reading began, on both clocks."""

    rings: Mapping[IssuerScope, "_Kept"]
    known: frozenset[UUID]
    """Organizations that have an issuer: published keys, or the wish for them."""
    change: int
    monotonic: float
    wall: float


class Rings:
    """Rings by issuer: the shared one from the start, an organization's once it was asked for."""

    def __init__(self, life: KeyLife, most_in_memory: int = MOST_IN_MEMORY) -> None:
        self._life = life
        self._most = most_in_memory
        self._turn = threading.Lock()
        self._seen = _Seen({}, frozenset(), store.BEFORE_ALL, 0.0, 0.0)
        self._to_look_after: deque[UUID] = deque()
        self._earliest: datetime | None = None
        self._earliest_of: Mapping[IssuerScope, _Kept] = {}
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

        SECURITY: only for an organization that has chosen this; `has_issuer` is what anybody may ask.
        """
        self.last_read(issuer)
        return LiveRing(self, issuer)

    def prepare(self, organization_id: UUID) -> None:
        """Make the first key of an organization that is about to choose an issuer of its own.

        SECURITY: this, and minting for one that has chosen, are the only ways to such a key.
        """
        self._moved_on(organization_id, is_wanted=True)
        self._load(organization_id)

    def leave(self, organization_id: UUID) -> None:
        """Let the keys of an organization that went back to the shared issuer end, beginning now."""
        with suppress(Unavailable):  # it is stored, and the next look at these keys finds it
            if self.has_issuer(organization_id) and self._moved_on(organization_id):
                self.refresh()

    def has_issuer(self, organization_id: UUID) -> bool:
        """Whether an organization has an issuer of its own, as far as this process knows. Asks no database."""
        return organization_id in self._seen.known

    def is_in_memory(self, issuer: IssuerScope) -> bool:
        """Whether the ring of an issuer can be had without asking the database."""
        return issuer in self._seen.rings

    def tend(self) -> None:
        """Catch up with the database, and move on the keys whose time has come."""
        self.refresh()
        now = self._life.clock.now()
        for issuer in self._due(now):
            if self._moved_on(issuer):
                self.refresh()
            else:
                self._put_off(issuer, now + STUCK)
        self._look_after_others()

    def refresh(self) -> None:
        """Read again whatever has changed since the last time; usually that is one small query."""
        with self._turn:
            monotonic, wall = self._times()
            with self._life.database.read() as tx:
                change = store.last_change(tx)
                changed, known = self._news(tx, change)
                rings = self._seen.rings
                if changed:
                    rings = {of: kept for of, kept in rings.items() if of is SHARED or of in known}
                    rings |= {of: self._kept(tx, of) for of in changed & rings.keys()}
            self._to_look_after.extendleft(_organizations(changed - rings.keys()))
            self._seen = _Seen(rings, known, change, monotonic, wall)

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
        """Give the ring as it was read last, however long ago; it is read now if it is not in memory."""
        return (self._seen.rings.get(issuer) or self._load(issuer)).ring

    def _news(self, tx: Transaction, change: int) -> tuple[AbstractSet[IssuerScope], frozenset[UUID]]:
        """Give whose keys have changed since the last time, and which organizations have keys now."""
        seen = self._seen
        if change == seen.change:
            return frozenset(), seen.known
        if change < seen.change:  # the database is another one: it was restored
            before = _organizations(store.changed_issuers(tx, store.BEFORE_ALL))
            return seen.rings.keys(), self._with_issuer(tx, before)
        changed = store.changed_issuers(tx, seen.change)
        news = _organizations(changed)
        return changed, (seen.known - news) | self._with_issuer(tx, news)

    def _with_issuer(self, tx: Transaction, organizations: Iterable[UUID]) -> frozenset[UUID]:
        """Give those of some organizations that have keys which are not over, or want an issuer of their own."""
        left, found = deque(organizations), set[UUID]()
        while left:
            some = [left.popleft() for _ in range(min(_IDS_AT_ONCE, len(left)))]
            found |= store.with_keys(tx, some) | self._life.chosen(tx, some)
        return frozenset(found)

    def _due(self, now: datetime) -> list[IssuerScope]:
        """Give whose keys have something to be done with now. Looks at each ring only when there are others."""
        rings = self._seen.rings
        if self._earliest_of is not rings:
            moments = (kept.due for kept in rings.values() if kept.due is not None)
            self._earliest, self._earliest_of = min(moments, default=None), rings
        if self._earliest is None or self._earliest > now:
            return []
        return [issuer for issuer, kept in rings.items() if kept.due is not None and kept.due <= now]

    def _look_after_others(self) -> None:
        """Move on the keys of a few issuers that are not in memory; one after the other, everybody's turn comes."""
        if not self._to_look_after and len(self._seen.known) >= len(self._seen.rings):
            self._to_look_after.extend(self._seen.known - self._seen.rings.keys())
        for _ in range(min(LOOKED_AFTER_AT_ONCE, len(self._to_look_after))):
            issuer = self._to_look_after.popleft()
            if self.has_issuer(issuer):  # SECURITY: else this would make a key for whoever never chose one
                self._moved_on(issuer)

    def _load(self, issuer: IssuerScope) -> _Kept:
        self._moved_on(issuer)
        with self._turn:
            monotonic, wall = self._times()
            with self._life.database.read() as tx:
                kept = self._kept(tx, issuer)
                if not self._seen.rings:
                    change = store.last_change(tx)
                    self._seen = _Seen({}, self._news(tx, change)[1], change, monotonic, wall)
                own = _organizations([issuer])
                known = (self._seen.known - own) | self._with_issuer(tx, own)
            # The others were not read now, so what is in memory is as old as it was.
            self._seen = replace(self._seen, rings=self._with(issuer, kept), known=known)
        return kept

    def _with(self, issuer: IssuerScope, kept: _Kept) -> dict[IssuerScope, _Kept]:
        """Give the rings with one more. When there are too many, the organization's goes that was read longest ago."""
        found = {**self._seen.rings, issuer: kept}
        if len(found) > self._most + 1:
            del found[next(of for of in found if of is not SHARED)]
        return found

    def _kept(self, tx: Transaction, issuer: IssuerScope) -> _Kept:
        ring = load_ring(tx, self._life.cipher, issuer)
        return _Kept(ring, self._life.next_change(tx, issuer, (*ring.keys, *ring.withheld)))

    def _moved_on(self, issuer: IssuerScope, *, is_wanted: bool = False) -> bool:
        """Move on the keys of one issuer. What is wrong with them must not stop those of the others."""
        try:
            return self._life.move_on(issuer, is_wanted=is_wanted)
        except CorruptColumn as error:
            _log.error("signing_key.stuck", organization_id=str(issuer or ""), reason=error.message)
            return False

    def _put_off(self, issuer: IssuerScope, until: datetime) -> None:
        with self._turn:
            seen, kept = self._seen, self._seen.rings.get(issuer)
            if kept is not None:
                self._seen = replace(seen, rings={**seen.rings, issuer: replace(kept, due=until)})

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
    *,
    chosen: Chosen = everybody,
) -> Rings:
    """Give the key rings of a process, the shared issuer's ready to sign.

    Raises `CorruptColumn` when the active key does not open.
    """
    rings = Rings(KeyLife(database, cipher, clock, policy or Policy(), confirming or Nobody(), chosen))
    rings.open()
    return rings


def _organizations(issuers: Iterable[IssuerScope]) -> frozenset[UUID]:
    return frozenset(issuer for issuer in issuers if issuer is not None)


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
