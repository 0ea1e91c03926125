"""Whether the known Vaults have a new key before it signs: checked by runners, waited for up to a limit, then named.

The shared issuer's keys alone: no other one's are published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runpass.clock import Clock
from runpass.server.db.engine import Database, Transaction
from runpass.server.issuer.key_life import confirm
from runpass.server.issuer.keys import SHARED, IssuerScope, KeyRecord, KeyState
from runpass.server.issuer.rings import Rings
from runpass.server.issuer.store import next_change
from runpass.server.vault_tasks import key_check_store as store
from runpass.server.vault_tasks.key_check_model import Confirmation, by_vault, confirmation, wants_check
from runpass.server.vault_tasks.key_checks import want_key_checks
from runpass.server.vault_tasks.known_vaults import KnownVault, known_vaults
from runpass.server.vault_tasks.sightings import Sightings

PUBLISHED_EVERYWHERE: Final = timedelta(seconds=1)
"""After this every server that can read the database has a new key in its key set."""
LOOK_EVERY_SECONDS: Final = 0.5
IDLE: Final = 20
"""A look that took long is followed by a pause that many times as long."""
UNHURRIED_SECONDS: Final = 30.0
AT_ONCE: Final = 200
"""Checks that are queued in one transaction."""
MOST_NAMED: Final = 20
MAX_NAMED: Final = 250


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Says to the issuer whom a new key waits for (`runpass.server.issuer.confirming.Confirming`)."""

    limit: timedelta
    """Zero: for nobody, and nothing is checked."""

    def is_awaited(self, tx: Transaction, issuer: IssuerScope) -> bool:
        """Whether any known Vault has a key set URL of its own: the others could not confirm anything."""
        return (
            bool(self.limit)
            and issuer is SHARED
            and any(vault.verifier for vault in known_vaults(tx, of_shared_issuer=True))
        )

    def not_confirmed(self, tx: Transaction, key: KeyRecord, now: datetime) -> str:
        """Name the Vaults that were waited for in vain, each with why."""
        missing = [item for item in confirmations(tx, key.kid, now) if item.is_missing]
        more = f"; and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        return "; ".join(_named(item) for item in missing[:MOST_NAMED]) + more


def confirmations(tx: Transaction, kid: str, now: datetime) -> list[Confirmation]:
    """Give what is known of every known Vault and a key."""
    paired = by_vault(known_vaults(tx, of_shared_issuer=True), store.checks_about(tx, kid))
    return [confirmation(vault, checks, now) for vault, checks in paired]


class ConfirmationKeeper:
    """Has Vaults checked for a key that is published and does not sign yet. Every server has one."""

    def __init__(self, database: Database, clock: Clock, rings: Rings, sightings: Sightings) -> None:
        self._database = database
        self._clock = clock
        self._rings = rings
        self._sightings = sightings
        self._again_at = 0.0

    def tend(self) -> None:
        """Keep what was fetched; if a key is on its way, look whether there is anything to check or to confirm."""
        self._sightings.keep()
        key = self._upcoming()
        began = self._clock.monotonic()
        if key is None or began < self._again_at:
            return
        # Where everything was checked and nobody waits, a Vault may still be given a URL of its own.
        pause = 0.0 if self._looked(key) or key.confirmation_awaited else UNHURRIED_SECONDS
        self._again_at = began + max(pause, IDLE * (self._clock.monotonic() - began))

    def _upcoming(self) -> KeyRecord | None:
        """Give the key whose Vaults are to be checked, as this process knows it; usually there is none."""
        if not self._rings.policy.confirm_limit:
            return None
        since = self._clock.now() - PUBLISHED_EVERYWHERE
        keys = self._rings.shared.last_read.keys
        published = (key for key in keys if key.state is KeyState.UPCOMING and key.published_at is not None)
        return next(
            (key for key in published if key.confirmed_at is None and (key.published_at or since) <= since), None
        )

    def _looked(self, key: KeyRecord) -> bool:
        """Look, and do what is to be done; whether that was anything."""
        now = self._clock.now()
        with self._database.read() as tx:
            wanted = _decide(tx, key, now)
        if not wanted.checks and not wanted.confirmed:
            return False
        with self._database.write() as tx:
            next_change(tx)  # servers that look at the same moment take turns, and the later one finds nothing left
            _carry_out(tx, key, now)
        return True


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be done for a key: which Vaults are checked, each with how often it was, and whether all have it."""

    checks: Sequence[tuple[KnownVault, int]]
    confirmed: bool


def _decide(tx: Transaction, key: KeyRecord, now: datetime) -> _Wanted:
    paired = by_vault(known_vaults(tx, of_shared_issuer=True), store.checks_about(tx, key.kid))
    missing = [(vault, checks) for vault, checks in paired if confirmation(vault, checks, now).is_missing]
    again = [(vault, len(checks)) for vault, checks in missing if wants_check(checks, now)]
    first = [(vault, 0) for vault, checks in paired if not checks and vault.verifier is None]
    return _Wanted((again + first)[:AT_ONCE], key.confirmation_awaited and not missing)


def _carry_out(tx: Transaction, key: KeyRecord, now: datetime) -> None:
    wanted = _decide(tx, key, now)
    for turn in sorted({turn for _, turn in wanted.checks}):
        vaults = [vault for vault, its_turn in wanted.checks if its_turn == turn]
        want_key_checks(tx, vaults, now, about_kid=key.kid, turn=turn)
    if wanted.confirmed:
        confirm(tx, key.kid, now)


def _named(item: Confirmation) -> str:
    return f"{item.vault.place} of organization {item.vault.organization_id}: {item.why}"[:MAX_NAMED]
