"""Carrying out what `rotation` decides, and what an operator asks for, in the database: one transaction each time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from runpass.clock import Clock
from runpass.errors import Conflict, NotFound
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, Transaction
from runpass.server.issuer import compromise_store, store
from runpass.server.issuer.confirming import Confirming, Nobody
from runpass.server.issuer.ending import Chosen, decide_end, everybody, next_end
from runpass.server.issuer.keys import IssuerScope, KeyRecord, KeyState, SigningKey, new_key
from runpass.server.issuer.rotation import NOTHING, Actions, Policy, carried_out, decide, gone, next_change

_log = structlog.get_logger(__name__)
_SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class KeyLife:
    """Moves keys on in their life. Any number of servers may do it at the same time."""

    database: Database
    cipher: Cipher
    clock: Clock
    policy: Policy
    confirming: Confirming = field(default_factory=Nobody)
    chosen: Chosen = everybody

    def move_on(self, issuer: IssuerScope, *, is_wanted: bool = False) -> bool:
        """Do what is to be done with the keys of one issuer at this moment; whether that was anything.

        The keys of an organization that wants no issuer of its own any more end, unless `is_wanted` says that it is
        just about to. A key is made outside of the transaction, because that takes long; one that somebody else was
        faster to make is thrown away unseen.
        """
        with self.database.read() as tx:
            now = self.clock.now()
            is_held = compromise_store.is_held(tx, issuer, now)
            goes_on = is_wanted or self.is_wanted(tx, issuer)
            wanted = NOTHING if is_held else self._decide(store.list_records(tx, issuer), now, goes_on=goes_on)
        if wanted == NOTHING:
            return False
        made = None if wanted.make is None else self._made(issuer, wanted.make)
        with self.database.write() as tx:
            self._carry_out(tx, issuer, made, is_wanted=is_wanted)
        return True

    def is_wanted(self, tx: Transaction, issuer: IssuerScope) -> bool:
        """Whether anybody's tokens are, or are to be, of this issuer."""
        return issuer is None or bool(self.chosen(tx, [issuer]))

    def next_change(self, tx: Transaction, issuer: IssuerScope, keys: Sequence[KeyRecord]) -> datetime | None:
        """Give from when on there is something to do with the keys of one issuer, as far as it is known now."""
        return next_change(keys, self.policy) if self.is_wanted(tx, issuer) else next_end(keys, self.policy)

    def _decide(self, keys: Sequence[KeyRecord], now: datetime, *, goes_on: bool) -> Actions:
        return decide(keys, now, self.policy) if goes_on else decide_end(keys, now, self.policy)

    def _made(self, issuer: IssuerScope, state: KeyState) -> SigningKey:
        policy = self.policy
        return new_key(
            self.clock.now(), policy.algorithm, issuer=issuer, state=state, longest_token=policy.longest_token
        )

    def _carry_out(self, tx: Transaction, issuer: IssuerScope, made: SigningKey | None, *, is_wanted: bool) -> None:
        change = store.next_change(tx)
        stored = store.list_sealed(tx, issuer)
        now = self.clock.now()
        if compromise_store.is_held(tx, issuer, now):
            return
        keys = [key for key, _ in stored]
        actions = self._decide(keys, now, goes_on=is_wanted or self.is_wanted(tx, issuer))
        for key, sealed in stored:
            if key.kid == actions.activate:
                store.open_key(self.cipher, key, sealed)  # one that does not open never takes over
        awaited = actions.publish is not None and self.confirming.is_awaited(tx, issuer)
        for before, after in carried_out(keys, actions, now, self.policy, awaited=awaited):
            store.change_key(tx, after, change)
            action = _what_happened(before, after)
            record(tx, _event(after, action, _SYSTEM, now, self._told(tx, after, action, now)))
            _log.info("signing_key.changed", kid=after.kid, what=action)
        if made is not None and made.state is actions.make:
            store.insert_key(tx, self.cipher, made)
            record(tx, _event(made, "created", _SYSTEM, made.created_at))

    def _told(self, tx: Transaction, key: KeyRecord, action: str, now: datetime) -> dict[str, str]:
        """Name those who were waited for in vain, where the key signs all the same."""
        if action != "activated" or not key.confirmation_awaited or key.confirmed_at is not None:
            return {}
        missing = self.confirming.not_confirmed(tx, key, now)
        _log.warning("signing_key.not_confirmed", kid=key.kid, missing=missing)
        return {"notConfirmed": missing}


def confirm(tx: Transaction, kid: str, now: datetime) -> bool:
    """Note that everybody who was to see an upcoming key has seen it; whether that was news."""
    change = store.next_change(tx)
    key = store.get_record(tx, kid)
    if key is None or key.state is not KeyState.UPCOMING or key.confirmed_at is not None:
        return False
    confirmed = replace(key, confirmed_at=now)
    store.change_key(tx, confirmed, change)
    record(tx, _event(confirmed, "confirmed", _SYSTEM, now))
    return True


def want_rotation(database: Database, clock: Clock, issuer: IssuerScope, actor: str) -> KeyRecord:
    """Ask for the successor of the active key ahead of the schedule; give the active key. A server makes it.

    Raises `Conflict` when there is no active key. Asking twice is asking once.
    """
    with database.write() as tx:
        change = store.next_change(tx)
        active = next((key for key in store.list_records(tx, issuer) if key.state is KeyState.ACTIVE), None)
        if active is None:
            hint = "start the server: it makes one"
            if issuer is not None:
                hint = "the organization has not chosen an issuer of its own: identityIssuer"
            raise Conflict("there is no active signing key", hint=hint)
        if active.rotation_wanted_at is not None:
            return active
        now = clock.now()
        wanted = replace(active, rotation_wanted_at=now)
        store.change_key(tx, wanted, change)
        record(tx, _event(active, "rotation_wanted", actor, now))
    return wanted


def remove_early(database: Database, clock: Clock, kid: str, actor: str) -> KeyRecord:
    """Make a key gone before its time: published no more, its private half destroyed; give it as it is then.

    Raises `NotFound`, or `Conflict` for the key that signs and for one that is gone.
    """
    with database.write() as tx:
        change = store.next_change(tx)
        key = removable(tx, kid)
        after = gone(key, clock.now())
        store.change_key(tx, after, change)
        record(tx, _event(after, "removed_early", actor, clock.now()))
    return after


def end_all(tx: Transaction, now: datetime, actor: str) -> None:
    """Make every key of every issuer gone, the signing ones too. The next look makes those that sign from now on."""
    change = store.next_change(tx)
    for issuer in store.changed_issuers(tx, store.BEFORE_ALL):
        for key in store.list_records(tx, issuer):
            after = gone(key, now)
            store.change_key(tx, after, change)
            record(tx, _event(after, "destroyed", actor, now))


def removable(tx: Transaction, kid: str) -> KeyRecord:
    """Give a key that may be removed ahead of its time. Raises what `remove_early` raises."""
    key = store.get_record(tx, kid)
    if key is None:
        raise NotFound("there is no signing key with this id", hint="run: runpass keys list")
    if key.state is KeyState.ACTIVE:
        raise Conflict("this is the key that signs", hint="run: runpass keys rotate")
    if key.state in {KeyState.GONE, KeyState.COMPROMISED}:
        raise Conflict("this key is gone already")
    return key


def _what_happened(before: KeyRecord, after: KeyRecord) -> str:
    if after.state is not before.state:
        return {
            KeyState.ACTIVE: "activated",
            KeyState.RETIRING: "retired",
            KeyState.GONE: "destroyed",
            KeyState.UPCOMING: "created",
            KeyState.COMPROMISED: "compromised",
        }[after.state]
    return "published" if after.published_at != before.published_at else "lengthened"


def _event(
    key: KeyRecord, action: str, actor: str, at: datetime, detail: Mapping[str, str] | None = None
) -> AuditEvent:
    return AuditEvent(at, actor, f"signing_key.{action}", "signing_key", key.kid, key.issuer, detail or {})
