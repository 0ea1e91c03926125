"""What becomes of a key that somebody else may have: one transaction for each step, each of which may be done again.

A key is stopped for all servers in one change: it is in no document any more, and no process that has seen the change
signs with it. Its private half stays, sealed, only until the probes are signed. Whoever stops half-way goes on where
the rows say that the last one ended; nothing is signed meanwhile, for `HELD` at the longest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from runpass.clock import Clock
from runpass.errors import NotFound
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher, CorruptColumn
from runpass.server.db.engine import Database, Transaction
from runpass.server.issuer import compromise_store, presence, store
from runpass.server.issuer.compromise_store import Compromise, Probe
from runpass.server.issuer.keys import KeyRecord, KeyState, SigningKey, new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.presence import ServerProcess
from runpass.server.issuer.ring import KeyRing
from runpass.server.issuer.rotation import Policy, gone

SPARE: Final = UUID(int=0)
"""Stands for no credential: the probe for Vaults that are known only later."""


@dataclass(frozen=True, slots=True)
class Cure:
    """Does the steps, each in the name of one operator."""

    database: Database
    cipher: Cipher
    clock: Clock
    policy: Policy
    actor: str

    def stop(self, kid: str) -> Compromise:
        """Take a key out of all documents and stop signing with it; give how far its cure is.

        With the key that signs goes the upcoming one, which was made by the same servers and is published already: what
        signs next must never have been anywhere. Raises `NotFound` for a key that was never here.
        """
        with self.database.write() as tx:
            change = store.next_change(tx)
            known = compromise_store.get_compromise(tx, kid)
            if known is not None:
                return known
            key = store.get_record(tx, kid)
            if key is None:
                raise NotFound("there is no signing key with this id", hint="run: runpass keys list --all")
            found = Compromise(
                kid=kid,
                issuer=key.issuer,
                was=key.state,
                change=change,
                actor=self.actor,
                stopped_at=self.clock.now(),
                destroyed_at=key.gone_at,
            )
            self._take_out(tx, found, key)
            compromise_store.insert_compromise(tx, found)
        return found

    def _take_out(self, tx: Transaction, found: Compromise, key: KeyRecord) -> None:
        now = found.stopped_at
        if key.state is KeyState.ACTIVE:
            for other in store.list_records(tx, key.issuer):
                if other.state is KeyState.UPCOMING:
                    store.change_key(tx, gone(other, now), found.change)
                    self._record(tx, found, "discarded", kid=other.kid)
        stopped = replace(key, state=KeyState.COMPROMISED, retired_at=key.retired_at or now, rotation_wanted_at=None)
        store.change_key(tx, stopped, found.change)
        self._record(tx, found, "compromised", {"was": key.state.value})

    def behind(self, found: Compromise) -> list[ServerProcess]:
        """Give the server processes that have not acknowledged the stop and may still do something."""
        with self.database.read() as tx:
            return presence.behind(tx, found.change, self.clock.now())

    def note_acknowledged(self, found: Compromise, number: int) -> None:
        """Write that nothing signs with the key any more; `number` processes have said so."""
        self._note(found, "acknowledged_at", "stop_acknowledged", {"processes": str(number)})

    def open_key(self, found: Compromise) -> SigningKey | None:
        """Give the key with its private half, to sign probes; None when that is destroyed or does not open."""
        with self.database.read() as tx:
            key = store.get_record(tx, found.kid)
            if key is None or key.gone_at is not None:
                return None
            try:
                return store.load_key(tx, self.cipher, key)
            except CorruptColumn:
                return None

    def keep_probes(self, found: Compromise, probes: Iterable[Probe]) -> None:
        """Keep the probes that were signed with the key, sealed."""
        signed = tuple(probes)
        now = self.clock.now()
        with self.database.write() as tx:
            if not compromise_store.mark_once(tx, found.kid, "probes_at", now):
                return
            for probe in signed:
                compromise_store.insert_probe(tx, self.cipher, found.kid, probe)
            self._record(tx, found, "probes_signed", {"probes": str(len(signed))})

    def destroy(self, found: Compromise) -> None:
        """Destroy the private half. The row stays, so that the key's id is never used again."""
        with self.database.write() as tx:
            change = store.next_change(tx)
            if not compromise_store.mark_once(tx, found.kid, "destroyed_at", self.clock.now()):
                return
            key = store.get_record(tx, found.kid)
            if key is not None:
                store.change_key(tx, replace(key, gone_at=self.clock.now()), change)
            self._record(tx, found, "destroyed")

    def start_fresh_key(self, found: Compromise) -> str | None:
        """Start a key that was never anywhere, if the bad one signed; give the key that signs now."""
        if found.replaced_at is not None:
            return found.replacement_kid
        made = None
        if found.was is KeyState.ACTIVE:
            algorithm, longest = self.policy.algorithm, self.policy.longest_token
            made = new_key(self.clock.now(), algorithm, issuer=found.issuer, longest_token=longest)
        with self.database.write() as tx:
            store.next_change(tx)
            keys = store.list_records(tx, found.issuer)
            signing = next((key.kid for key in keys if key.state is KeyState.ACTIVE), None)
            if signing is None and made is not None:
                store.insert_key(tx, self.cipher, made)
                self._record(tx, found, "created", kid=made.kid)
                signing = made.kid
            named = {} if signing is None else {"replacement_kid": signing}
            compromise_store.mark_once(tx, found.kid, "replaced_at", self.clock.now(), **named)
        return signing

    def note_withdrawn(self, found: Compromise) -> None:
        """Write that the published key set was seen without the key."""
        self._note(found, "withdrawn_at", "withdrawal_confirmed", {})

    def note_vaults(self, found: Compromise, verdicts: Mapping[str, str], *, all_cured: bool) -> None:
        """Write what the Vaults answered. When all are cured that is the end, and the probes are deleted."""
        with self.database.write() as tx:
            self._record(tx, found, "vaults_checked", verdicts)
            if all_cured and compromise_store.mark_once(tx, found.kid, "cured_at", self.clock.now()):
                compromise_store.forget_probes(tx, found.kid)
                self._record(tx, found, "cured")

    def again(self, found: Compromise) -> Compromise:
        """Give how far the cure is now."""
        with self.database.read() as tx:
            return compromise_store.get_compromise(tx, found.kid) or found

    def _note(self, found: Compromise, step: str, action: str, detail: Mapping[str, str]) -> None:
        with self.database.write() as tx:
            if compromise_store.mark_once(tx, found.kid, step, self.clock.now()):
                self._record(tx, found, action, detail)

    def _record(
        self,
        tx: Transaction,
        found: Compromise,
        action: str,
        detail: Mapping[str, str] | None = None,
        *,
        kid: str | None = None,
    ) -> None:
        """Record a step in the instance's chain, and in the organization's whose issuer it is."""
        about = dict(detail or {})
        if found.issuer is not None:
            about["organizationId"] = str(found.issuer)
        now, subject = self.clock.now(), kid or found.kid
        for chain in {None, found.issuer}:
            event = AuditEvent(now, self.actor, f"signing_key.{action}", "signing_key", subject, chain, about)
            record(tx, event)


def probe_minter(key: SigningKey, issuer_url: str, clock: Clock) -> Minter:
    """Give a minter that signs with this very key, wherever it is in its life. SECURITY: for `mint_probe` alone."""
    return Minter(KeyRing((replace(key, state=KeyState.ACTIVE),)), issuer_url, clock)
