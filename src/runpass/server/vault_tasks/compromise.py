"""The cure of a key that somebody else may have, from the first step to the proof at every Vault.

It is told step by step, each step with its verdict. Whoever stops listening can begin anew at any time: what is done is
written down, and is not done again. Nothing here connects anywhere: the published key set is fetched by whoever asks
for the cure, and Vaults are asked by runners.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from runpass.errors import RunpassError
from runpass.ids import VaultTaskId
from runpass.server.db.engine import Transaction
from runpass.server.issuer import compromise_store, presence
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.compromise import SPARE, Cure, probe_minter
from runpass.server.issuer.compromise_store import Compromise, Probe
from runpass.server.issuer.keys import IssuerScope, KeyState, SigningKey
from runpass.server.issuer.presence import ServerProcess
from runpass.server.tenancy.store import get_organization
from runpass.server.vault_tasks import key_checks
from runpass.server.vault_tasks.key_check_model import StoredKeyCheck
from runpass.server.vault_tasks.known_vaults import KnownVault, known_vaults
from runpass.server.vault_tasks.model import TaskStatus
from runpass.server.vault_tasks.trust import WORTH_ANOTHER_WAY, Trust, VaultTrust, cured_before, judged

WAYS: Final = 4
"""How many ways to a Vault (credentials, pools) are tried that gives no clear answer."""
GOING_ON: Final = frozenset({TaskStatus.QUEUED, TaskStatus.IN_PROGRESS})
MOST_NAMED: Final = 1_000
"""Characters of the names of Vaults in one event."""


@dataclass(frozen=True, slots=True)
class Told:
    """A step that is over, and how it went."""

    step: str
    ok: bool
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a cure needs from outside: the issuers' addresses, a way to look at them, and patience."""

    addresses: IssuerAddresses
    audience: str
    fetch_kids: Callable[[str], Collection[str]]
    """Give the ids of the keys that are published at a URL. Raises `RunpassError` in bounded words."""
    pause: Callable[[], None]
    """Let a moment pass."""
    patience: timedelta
    """How long to wait for the published key set, and for runners."""


@dataclass(slots=True)
class Story:
    """One go at the cure of one key."""

    cure: Cure
    around: Around
    kid: str
    found: Compromise | None = None
    vaults: list[VaultTrust] = field(default_factory=list)
    """What is known of each Vault, once the last step is told."""

    def steps(self) -> Iterator[Told]:
        """Do one step after the other. Raises `NotFound` for a key that was never here."""
        found = self.found = self.cure.stop(self.kid)
        yield Told("stop", ok=True, said=f"The key was {found.was.value}; it is in no key set any more, nor may sign")
        for step in (self._acknowledge, self._sign_probes, self._destroy, self._replace, self._withdraw, self._prove):
            found = self.found = self.cure.again(found)
            yield step(found)
        self.found = self.cure.again(found)

    def _acknowledge(self, found: Compromise) -> Told:
        """Wait until nothing can sign: every process has seen the stop, or is too far behind to sign anything.

        No patience ends this, because the bound does: a process whose keys are older than its `key_ring_stale_seconds`
        looks before it signs, and sees the stop.
        """
        while any(self.cure.clock.now() < item.may_sign_until(found.stopped_at) for item in self.cure.behind(found)):
            self.around.pause()
        with self.cure.database.read() as tx:
            number = sum(item.seen_change >= found.change for item in presence.processes(tx))
        silent = self.cure.behind(found)
        self.cure.note_acknowledged(found, number)
        said = f"Acknowledged by {_counted(number, 'server process', 'server processes')}"
        if silent:
            said += f"; {_names(silent)} did not answer, and signs nothing with keys that are older than it may use"
        awake = [item for item in silent if item.seen_at > item.may_sign_until(found.stopped_at)]
        if awake:
            said = f"{_names(awake)} still runs and does not say that it has seen the stop: end it"
        return Told("acknowledge", ok=not awake, said=said)

    def _sign_probes(self, found: Compromise) -> Told:
        if found.probes_at is not None:
            return Told("probe", ok=True, said="Probes were signed already")
        key = self.cure.open_key(found)
        if key is None:
            self.cure.keep_probes(found, ())
            said = "The private half is destroyed, or does not open: no probe can be signed, so nothing can be proved"
            return Told("probe", ok=False, said=said)
        with self.cure.database.read() as tx:
            probes = list(self._probes(tx, key))
        self.cure.keep_probes(found, probes)
        return Told("probe", ok=True, said=f"{_counted(len(probes), 'probe', 'probes')} signed, expired since 1970")

    def _probes(self, tx: Transaction, key: SigningKey) -> Iterator[Probe]:
        """Sign a probe for each credential of each known Vault, and one for Vaults that become known later."""
        around = self.around
        minter = probe_minter(key, around.addresses.issuer_url(key.issuer), self.cure.clock)
        spare = minter.mint_probe(subject=around.audience, audience=around.audience)
        yield Probe(SPARE, None, spare.token)
        for vault in _known(tx, key.issuer):
            organization = get_organization(tx, vault.organization_id)
            for credential in vault.credentials if organization else ():
                audience = credential.value.audience(around.audience, credential.id)
                subject = organization.oidc_sub if organization else ""
                yield Probe(
                    credential.id, vault.organization_id, minter.mint_probe(subject=subject, audience=audience).token
                )

    def _destroy(self, found: Compromise) -> Told:
        self.cure.destroy(found)
        return Told("destroy", ok=True, said="Its private half is destroyed here; whoever copied it still has it")

    def _replace(self, found: Compromise) -> Told:
        kid = self.cure.start_fresh_key(found)
        if kid is None:
            return Told("replace", ok=False, said="There is no key that signs: start a server, it makes one")
        if found.was is KeyState.ACTIVE:
            return Told("replace", ok=True, said=f"{kid} signs now, and was never published before")
        return Told("replace", ok=True, said=f"The key did not sign; {kid} signs on")

    def _withdraw(self, found: Compromise) -> Told:
        """Wait until no process can publish the key and the public key set is without it."""
        said = self._still_published(found)
        until = self.cure.clock.monotonic() + self.around.patience.total_seconds()
        while said and self.cure.clock.monotonic() < until:
            self.around.pause()
            said = self._still_published(found)
        if said:
            return Told("withdraw", ok=False, said=said)
        self.cure.note_withdrawn(found)
        return Told("withdraw", ok=True, said=f"{self._jwks_url(found)} does not have the key any more")

    def _still_published(self, found: Compromise) -> str:
        """Give why the key may still be fetched somewhere; nothing when it cannot."""
        now, url = self.cure.clock.now(), self._jwks_url(found)
        publishing = [item for item in self.cure.behind(found) if now < item.may_publish_until(found.stopped_at)]
        if publishing:
            latest = max(item.may_publish_until(found.stopped_at) for item in publishing)
            return (
                f"{_names(publishing)} may publish it until {latest:%H:%M:%S} UTC: end it, or repeat this command then"
            )
        try:
            kids = self.around.fetch_kids(url)
        except RunpassError as error:
            return f"{url} cannot be looked at from here: {error.message}"
        if found.kid in kids:
            return f"{url} still has the key: something in front of the servers keeps an old answer; empty its cache"
        if found.replacement_kid and found.replacement_kid not in kids:
            return f"{url} does not have the key that signs now: it is old, or another issuer's"
        return ""

    def _jwks_url(self, found: Compromise) -> str:
        return self.around.addresses.jwks_url(found.issuer)

    def _prove(self, found: Compromise) -> Told:
        """Make every known Vault fetch the key set, and show it a probe: it must refuse that for its signature."""
        with self.cure.database.read() as tx:
            known = _known(tx, found.issuer)
        if found.cured_at is not None:
            self.vaults = [cured_before(vault, found.cured_at) for vault in known]
        else:
            self.vaults = self._ask_all(found, known)
        cured = sum(item.trust is Trust.CURED for item in self.vaults)
        missing = [item for item in self.vaults if item.trust is not Trust.CURED]
        named = ", ".join(f"{item.vault.place} ({item.trust.value})" for item in missing)
        verdicts = {"cured": str(cured), "notCured": str(len(missing))}
        if missing:
            verdicts["vaults"] = named[:MOST_NAMED]
        self.cure.note_vaults(found, verdicts, all_cured=not missing and found.withdrawn_at is not None)
        if not self.vaults:
            return Told("prove", ok=True, said="No credential names a Vault, so there is none to ask")
        return Told("prove", ok=not missing, said=f"{cured} of {len(self.vaults)} known Vaults refuse the key")

    def _ask_all(self, found: Compromise, known: Collection[KnownVault]) -> list[VaultTrust]:
        results = {(vault.organization_id, vault.place): judged(vault, None, found.stopped_at) for vault in known}
        until = self.cure.clock.monotonic() + self.around.patience.total_seconds()
        asked = list(known)
        for turn in range(WAYS):
            for result in self._ask(found, asked, turn, until):
                results[result.vault.organization_id, result.vault.place] = result
            asked = [item.vault for item in results.values() if item.trust in WORTH_ANOTHER_WAY]
            if not asked or self.cure.clock.monotonic() >= until:
                break
        return list(results.values())

    def _ask(self, found: Compromise, vaults: Collection[KnownVault], turn: int, until: float) -> Iterator[VaultTrust]:
        with self.cure.database.write() as tx:
            now = self.cure.clock.now()
            queued = [(vault, self._queue(tx, found, vault, turn, now)) for vault in vaults]
        ids = [check_id for _, check_id in queued]
        checks = self._results(ids)
        while any(self._goes_on(item) for item in checks.values()) and self.cure.clock.monotonic() < until:
            self.around.pause()
            checks = self._results(ids)
        for vault, check_id in queued:
            yield judged(vault, checks.get(check_id), self.cure.clock.now())

    def _queue(self, tx: Transaction, found: Compromise, vault: KnownVault, turn: int, now: datetime) -> VaultTaskId:
        credential = vault.credentials[turn % len(vault.credentials)]
        token = compromise_store.probe_for(tx, self.cure.cipher, found.kid, credential.id, SPARE)
        probe = None if token is None else key_checks.Probe(found.kid, token, self.cure.cipher)
        (check_id,) = key_checks.want_key_checks(tx, [vault], now, probe=probe, turn=turn)
        return check_id

    def _results(self, ids: Collection[VaultTaskId]) -> dict[VaultTaskId, StoredKeyCheck]:
        with self.cure.database.read() as tx:
            return {item.id: item for item in key_checks.results_of(tx, ids)}

    def _goes_on(self, check: StoredKeyCheck) -> bool:
        return check.pool_id is not None and check.status(self.cure.clock.now()) in GOING_ON


def _known(tx: Transaction, issuer: IssuerScope) -> list[KnownVault]:
    """Give the Vaults that may trust an issuer's keys: all of them for the shared one."""
    return [vault for vault in known_vaults(tx) if issuer in {None, vault.organization_id}]


def _names(found: Collection[ServerProcess]) -> str:
    return ", ".join(item.name for item in found)


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
