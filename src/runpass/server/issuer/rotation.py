"""When a key goes on to the next state of its life: pure functions of keys, time and policy.

Every server asks `decide` again and again. Whoever is first carries it out, in one transaction that decides once more
on what is stored by then; for all others there is nothing left to do. A server may end at any moment between deciding
and committing, and nothing is lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from runpass.server.issuer.algorithms import Algorithm
from runpass.server.issuer.keys import KeyRecord, KeyState


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator decided about the life of keys."""

    algorithm: Algorithm = Algorithm.RS256
    rotate_every: timedelta | None = timedelta(days=30)
    """None: only when an operator asks for it."""
    publish_ahead: timedelta = timedelta(minutes=10)
    """How long a key is published before it signs: at least `cache_time` and `stale_after` together."""
    longest_token: timedelta = timedelta(minutes=15)
    stale_after: timedelta = timedelta(seconds=10)
    """How long a server signs with what it last read: a key signs this much longer than the database says."""
    cache_time: timedelta = timedelta(minutes=5)
    """How long anybody may keep the published document."""
    confirm_limit: timedelta = timedelta(hours=1)
    """How long after its publication a key waits for those who are to confirm that they have seen it."""

    @property
    def documents_stale_after(self) -> timedelta:
        """Give how long a document may be served that was not compared with the database.

        A key that was published since then is not in it, and may sign `publish_ahead` after; whoever got the document
        last keeps it for `cache_time`.
        """
        return self.publish_ahead - self.cache_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What is to be done now with the keys of one issuer; key ids, and the state of a key to be made."""

    destroy: tuple[str, ...] = ()
    lengthen: tuple[str, ...] = ()
    publish: str | None = None
    retire: str | None = None
    activate: str | None = None
    make: KeyState | None = None


NOTHING = Actions()
ALWAYS = datetime.min.replace(tzinfo=UTC)
"""Before anything that there is."""


def decide(keys: Sequence[KeyRecord], now: datetime, policy: Policy) -> Actions:
    """Give what is to be done with all keys of one issuer that are not gone.

    A key signs only after it was published for `publish_ahead`, however late the schedule is; unless nothing signs.
    """
    active, upcoming = _one(keys, KeyState.ACTIVE), _one(keys, KeyState.UPCOMING)
    always = Actions(
        destroy=tuple(key.kid for key in keys if key.state is KeyState.RETIRING and needed_until(key, policy) <= now),
        lengthen=_too_short(keys, policy),
    )
    if active is None:
        return replace(always, activate=upcoming.kid) if upcoming else replace(always, make=KeyState.ACTIVE)
    if upcoming is None:
        return replace(always, make=KeyState.UPCOMING) if _due(_prepare_from(active, policy), now) else always
    if upcoming.published_at is None:
        return replace(always, publish=upcoming.kid)
    if _due(next_rotation(keys, policy), now):
        return replace(always, retire=active.kid, activate=upcoming.kid)
    return always


def next_rotation(keys: Sequence[KeyRecord], policy: Policy) -> datetime | None:
    """Give when the next key begins to sign at the earliest; None when nobody wants it to."""
    active, upcoming = _one(keys, KeyState.ACTIVE), _one(keys, KeyState.UPCOMING)
    wanted = None if active is None else _wanted_from(active, policy)
    if wanted is None or upcoming is None:
        return wanted
    return max(wanted, _ready_from(upcoming, policy))


def next_change(keys: Sequence[KeyRecord], policy: Policy) -> datetime | None:
    """Give from when on `decide` finds something to do with these keys; None when that is never."""
    active, upcoming = _one(keys, KeyState.ACTIVE), _one(keys, KeyState.UPCOMING)
    if active is None or (upcoming and upcoming.published_at is None) or _too_short(keys, policy):
        return ALWAYS
    succession = next_rotation(keys, policy) if upcoming else _prepare_from(active, policy)
    ends = [needed_until(key, policy) for key in keys if key.state is KeyState.RETIRING]
    return _earliest(succession, *ends)


def carried_out(
    keys: Iterable[KeyRecord], actions: Actions, now: datetime, policy: Policy, *, awaited: bool = False
) -> Iterator[tuple[KeyRecord, KeyRecord]]:
    """Give each key that changes, before and after, in the order in which they have to be written.

    `awaited`: whether somebody is to confirm that they have seen a key that is published now.
    """
    for key in sorted(keys, key=lambda item: item.kid == actions.activate):
        after = _after(key, actions, now, policy, awaited=awaited)
        if after != key:
            yield key, after


def _after(key: KeyRecord, actions: Actions, now: datetime, policy: Policy, *, awaited: bool) -> KeyRecord:
    if key.kid in actions.lengthen:
        key = replace(key, longest_token=policy.longest_token)
    if key.kid in actions.destroy:
        return gone(key, now)
    if key.kid == actions.publish:
        return replace(key, published_at=now, confirmation_awaited=awaited)
    if key.kid == actions.retire:
        last = now + policy.stale_after + key.longest_token
        return replace(key, state=KeyState.RETIRING, retired_at=now, last_token_expires_at=last)
    if key.kid == actions.activate:
        return replace(
            key, state=KeyState.ACTIVE, published_at=key.published_at or now, activated_at=now, rotation_wanted_at=None
        )
    return key


def gone(key: KeyRecord, now: datetime) -> KeyRecord:
    """Give the key as it is when it is over."""
    return replace(key, state=KeyState.GONE, gone_at=now)


def needed_until(key: KeyRecord, policy: Policy) -> datetime:
    """Give until when a retiring key stays published: its last token has expired, and no cache is older."""
    last = key.last_token_expires_at
    if last is None:  # nobody knows: then as if it had signed the longest token until now
        last = (key.retired_at or key.created_at) + policy.stale_after + key.longest_token
    return last + policy.cache_time


def _ready_from(upcoming: KeyRecord, policy: Policy) -> datetime:
    """Give from when on an upcoming key may sign: published for long enough, and confirmed or waited for to the limit.

    A confirmation makes nothing earlier.
    """
    published = upcoming.published_at or upcoming.created_at
    is_waiting = upcoming.confirmation_awaited and upcoming.confirmed_at is None
    return published + (max(policy.publish_ahead, policy.confirm_limit) if is_waiting else policy.publish_ahead)


def _prepare_from(active: KeyRecord, policy: Policy) -> datetime | None:
    """Give when the successor is made, so that it is published for long enough when it is wanted."""
    scheduled = _scheduled(active, policy)
    ahead = policy.publish_ahead + policy.stale_after
    return _earliest(active.rotation_wanted_at, None if scheduled is None else scheduled - ahead)


def _wanted_from(active: KeyRecord, policy: Policy) -> datetime | None:
    return _earliest(active.rotation_wanted_at, _scheduled(active, policy))


def _scheduled(active: KeyRecord, policy: Policy) -> datetime | None:
    return None if policy.rotate_every is None else (active.activated_at or active.created_at) + policy.rotate_every


def _too_short(keys: Sequence[KeyRecord], policy: Policy) -> tuple[str, ...]:
    """Give the keys that may have to sign longer tokens than is noted with them."""
    signing = (key for key in keys if key.state in {KeyState.ACTIVE, KeyState.UPCOMING})
    return tuple(key.kid for key in signing if key.longest_token < policy.longest_token)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _due(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _one(keys: Sequence[KeyRecord], state: KeyState) -> KeyRecord | None:
    return next((key for key in keys if key.state is state), None)
