"""The last step of a mint: many tokens that were made at the same time are let go with one commit.

SECURITY: a token leaves only after the transaction that holds its audit record, its count and what can come of it is
committed. That transaction looks at the run lease once more, whatever anybody remembered of it, and at the assignment
of a login's credential. Where others may commit meanwhile, it looks a last time once its place in the audit trail is
certain: so a token leaves before the event of a change that forbids it, or not at all. If it cannot be committed, none
of its tokens leaves.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from runpass.clock import Clock
from runpass.errors import Conflict, RunpassError, StaleLease, Unavailable
from runpass.ids import CredentialId, ProjectId, RunLeaseId, VaultLoginId
from runpass.server.audit import AuditEvent, hold_chains, record
from runpass.server.credentials.store import places_of
from runpass.server.db.engine import Database, Transaction
from runpass.server.deployments import lease_store
from runpass.server.deployments.lease_store import LeaseNow
from runpass.server.deployments.model import Lease
from runpass.server.deployments.token_store import note_minted
from runpass.server.http.origin import Origin
from runpass.server.issuer.minting import Minted

MAX_TOKENS: Final = 1_000
"""Tokens of one run lease; a run that asks for more is not well."""
MOST_TOGETHER: Final = 128
"""Tokens of one transaction: others may want to write too."""

Outcome = VaultLoginId | Exception | None
"""Of one mint: the login that it is counted as, or nothing for a job's token; an exception if it must not leave."""


class RunChanged(Conflict):
    """What a token was made from has changed since it was read: read again."""


@dataclass(frozen=True, slots=True)
class Mint:
    """A token that is made and has not left."""

    lease: Lease
    minted: Minted
    event: AuditEvent
    origin: Origin
    organization_seen: datetime
    """When the organization had last changed, as it was read."""
    login: "Login | None" = None
    """The login that it is for; a token without one is the job's."""


@dataclass(frozen=True, slots=True)
class Login:
    """The login of a credential that a token is for."""

    credential_id: CredentialId
    path: Sequence[ProjectId]
    """The projects by whose assignments the run may have it."""
    intend: Callable[[Transaction], VaultLoginId]
    """Counts it."""


Places = AbstractSet[tuple[CredentialId, ProjectId]]
"""Which credential is assigned to which project."""


@dataclass(slots=True)
class _Place:
    """One thread's mints in the queue."""

    mints: Sequence[Mint]
    outcomes: list[Outcome] = field(default_factory=list)
    wake: threading.Event = field(default_factory=threading.Event)


class MintCommits:
    """Commits mints. Whoever comes while a commit is under way waits for it and goes with the next one, all together.

    There is no thread of its own and no waiting for others to come: the first of those who wait commits for all.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._turn = threading.Lock()
        self._waiting: deque[_Place] = deque()
        self._is_led = False

    def commit(self, mints: Sequence[Mint]) -> list[Outcome]:
        """Give what became of each mint, in order."""
        place = _Place(mints)
        with self._turn:
            self._waiting.append(place)
            leads, self._is_led = not self._is_led, True
        if not leads:
            place.wake.wait()
        if not place.outcomes:
            self._lead()
        return place.outcomes

    def _lead(self) -> None:
        """Commit for the first of those who wait, which is the caller, and for those behind it."""
        with self._turn:
            places = [self._waiting.popleft()]
            room = MOST_TOGETHER - len(places[0].mints)
            while self._waiting and len(self._waiting[0].mints) <= room:
                places.append(self._waiting.popleft())
                room -= len(places[-1].mints)
        try:
            outcomes = iter(self._written([mint for place in places for mint in place.mints]))
            for place in places:
                place.outcomes = [next(outcomes) for _ in place.mints]
        finally:
            self._hand_on(places)

    def _hand_on(self, places: Sequence[_Place]) -> None:
        """Wake those whose mints are done, and the next to lead. Without an outcome there is no token."""
        for place in places:
            place.outcomes = place.outcomes or [Unavailable("the token was not recorded")] * len(place.mints)
        with self._turn:
            self._is_led = bool(self._waiting)
            following = self._waiting[0] if self._waiting else None
        for place in (*places, *((following,) if following else ())):
            place.wake.set()

    def _written(self, mints: Sequence[Mint]) -> list[Outcome]:
        try:
            return self._write(mints)
        except Unavailable as error:
            return [Unavailable(error.message, hint=error.hint) for _ in mints]
        except Exception as error:  # noqa: BLE001 -- it belongs to whoever asked; we work for others too
            if len(mints) == 1:
                return [error]
        return [outcome for mint in mints for outcome in self._written([mint])]  # one must not stop the others

    def _write(self, mints: Sequence[Mint]) -> list[Outcome]:
        now = self._clock.now()
        with self._database.write() as tx:
            leases = lease_store.hold_leases(tx, {mint.lease.id for mint in mints})
            refused = _refusals(mints, leases, _places(tx, mints), now)
            going = [mint for mint, refusal in zip(mints, refused, strict=True) if refusal is None]
            lease_store.count_mints(tx, Counter(mint.lease.id for mint in going), now)
            note_minted(tx, [(mint.lease, mint.minted, mint.event.at) for mint in going if mint.login is None])
            logins = iter([mint.login.intend(tx) if mint.login else None for mint in going])
            for mint in going:
                record(tx, mint.event, mint.origin)
            if going and not self._database.is_sqlite:  # which lets one write at a time
                _look_a_last_time(tx, going, leases, now)
        return [refusal or next(logins) for refusal in refused]


def _look_a_last_time(
    tx: Transaction, mints: Sequence[Mint], seen: Mapping[RunLeaseId, LeaseNow], now: datetime
) -> None:
    """Raise `RunChanged` if a run ended, or an organization or assignment was changed, since they were `seen`.

    Each of these changes has an event in the organization's chain: where none has come, there is nothing to look at.
    """
    last = hold_chains(tx, {mint.lease.organization_id for mint in mints})
    if all(seen[mint.lease.id].last_event == last[mint.lease.organization_id] for mint in mints):
        return
    leases, places = lease_store.see_leases(tx, {mint.lease.id for mint in mints}), _places(tx, mints)
    if any(_change(mint, leases.get(mint.lease.id), places, now) for mint in mints):
        raise RunChanged("the run was changed while the token was made")


def _places(tx: Transaction, mints: Sequence[Mint]) -> Places:
    return places_of(tx, {mint.login.credential_id for mint in mints if mint.login})


def _refusals(
    mints: Sequence[Mint], leases: Mapping[RunLeaseId, LeaseNow], places: Places, now: datetime
) -> list[RunpassError | None]:
    """Give why each mint must not leave, or None."""
    counts = Counter({lease_id: lease.tokens_minted for lease_id, lease in leases.items()})
    found: list[RunpassError | None] = []
    for mint in mints:
        refusal = _change(mint, leases.get(mint.lease.id), places, now)
        if refusal is None and counts[mint.lease.id] >= MAX_TOKENS:
            refusal = past_limit()
        counts[mint.lease.id] += refusal is None
        found.append(refusal)
    return found


def _change(mint: Mint, lease: LeaseNow | None, places: Places, now: datetime) -> RunpassError | None:
    """Give what has changed since a token was made, if it must not leave for that."""
    if lease is None or not lease.goes_on(now):
        return StaleLease("the run lease ended while the token was made")
    if lease.organization_seen != mint.organization_seen:
        return RunChanged("the organization was changed while the token was made")
    login = mint.login
    if login is not None and not any((login.credential_id, project) in places for project in login.path):
        return RunChanged("the credential was taken away while the token was made")
    return None


def past_limit() -> Conflict:
    """Give the refusal of a run that has asked for too many tokens."""
    return Conflict(f"this run has asked for {MAX_TOKENS} tokens already")
