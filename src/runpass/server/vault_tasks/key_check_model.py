"""What is known of a key check, and what it says of a Vault and a key. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from runpass.ids import CredentialId, OrganizationId, PoolId, RunnerId, VaultTaskId
from runpass.protocol.key_checks import ProbeVerdict, Refetched
from runpass.server.vault_tasks.known_vaults import Keys, KnownVault, Place
from runpass.server.vault_tasks.model import TAKES, WAITS, TaskStatus

FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=5)
MOST_DOUBLINGS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKeyCheck:
    """A key check: one Vault that is made to fetch the key set by one runner."""

    id: VaultTaskId
    organization_id: OrganizationId
    place: Place
    credential_id: CredentialId
    pool_id: PoolId | None
    verifier: str | None
    about_kid: str | None
    """The key that the Vault is to get to know by it."""
    probe_kid: str | None
    probe_sealed: bytes | None = field(repr=False)
    runner_id: RunnerId | None
    secret_sha256: bytes | None = field(repr=False)
    created_at: datetime
    taken_at: datetime | None
    finished_at: datetime | None
    reached: bool | None
    refetched: Refetched | None
    """None in a check that has ended: it was not sent to the Vault, and `said` says why."""
    probe_verdict: ProbeVerdict | None
    said: str | None
    seen_at: datetime | None
    """When the key set with `about_kid` in it was fetched at the Vault's own URL while the check was going on."""

    def status(self, now: datetime) -> TaskStatus:
        """Give what became of it: one that waits or takes too long is over without anybody ending it."""
        if self.finished_at is not None:
            return TaskStatus.DONE
        if self.taken_at is not None:
            return TaskStatus.LOST if self.taken_at + TAKES <= now else TaskStatus.IN_PROGRESS
        return TaskStatus.NOT_TAKEN if self.created_at + WAITS <= now else TaskStatus.QUEUED

    @property
    def confirms(self) -> bool:
        """Whether it proves that the Vault has the key: a fetch came that named it, and the Vault used what it got.

        SECURITY: a fetch alone is not enough. Whoever knows the URL can make one.
        """
        return self.seen_at is not None and self.refetched is Refetched.FETCHED


class Standing(StrEnum):
    """What can be said of a Vault and a key."""

    SEEN = "seen"
    NOT_CONFIRMED = "not-confirmed"
    UNKNOWN = "unknown"
    """Its fetches name nobody."""
    PUSHED = "pushed-keys"
    """It fetches nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What is known of one Vault and one key, and why not more."""

    vault: KnownVault
    standing: Standing
    seen_at: datetime | None = None
    why: str = ""
    said: str = ""
    """The Vault's own words, the last time."""

    @property
    def is_missing(self) -> bool:
        """Whether the Vault has a URL of its own and is not known to have the key."""
        return self.vault.verifier is not None and self.standing is not Standing.SEEN


def confirmation(vault: KnownVault, checks: Sequence[StoredKeyCheck], now: datetime) -> Confirmation:
    """Give what the checks of one Vault about one key say, oldest first."""
    last = checks[-1] if checks else None
    said = (last.said if last else None) or ""
    proof = next((check for check in checks if check.confirms), None)
    if vault.verifier is not None and proof is not None:
        return Confirmation(vault=vault, standing=Standing.SEEN, seen_at=proof.seen_at)
    is_pushed = vault.keys is Keys.PUSHED if last is None or last.refetched is None else _pushes(last)
    if is_pushed:
        return Confirmation(vault=vault, standing=Standing.PUSHED, why="it has pushed keys and fetches none", said=said)
    if vault.verifier is None:
        return Confirmation(vault=vault, standing=Standing.UNKNOWN, why="it has no key set URL of its own", said=said)
    return Confirmation(vault=vault, standing=Standing.NOT_CONFIRMED, why=_why_not(last, now), said=said)


def _pushes(check: StoredKeyCheck) -> bool:
    return check.refetched is Refetched.PUSHED_KEYS


def _why_not(check: StoredKeyCheck | None, now: datetime) -> str:
    if check is None:
        return "it was not checked yet"
    match check.status(now):
        case TaskStatus.QUEUED | TaskStatus.NOT_TAKEN:
            return "no runner took the check"
        case TaskStatus.IN_PROGRESS:
            return "a runner is at it"
        case TaskStatus.LOST:
            return "the runner that took the check did not report"
        case TaskStatus.DONE:
            return _done(check)


def _done(check: StoredKeyCheck) -> str:
    match check.refetched:
        case Refetched.FETCHED if check.seen_at is None:
            return (
                "it fetched a key set, and not from its own URL when it was checked last: run `runpass vault apply`,"
                " unless that was done since"
            )
        case Refetched.FETCH_FAILED:
            return "it could not fetch the key set, or not read it"
        case Refetched.ACCEPTED:
            return "it lets tokens in that nobody signed"
        case None:
            return f"the check was not sent: {check.said}"
        case _ if check.reached:
            return "it refused the login before it fetched anything"
        case _:
            return "the runner got no answer from it"


def wants_check(checks: Sequence[StoredKeyCheck], now: datetime) -> bool:
    """Whether a Vault that is waited for is to be checked (again): not while a check goes on, and ever less often."""
    if not checks:
        return True
    last = checks[-1]
    if last.status(now) in {TaskStatus.QUEUED, TaskStatus.IN_PROGRESS}:
        return False
    longer: int = 2 ** min(len(checks) - 1, MOST_DOUBLINGS)
    pause = min(FIRST_PAUSE * longer, LONGEST_PAUSE)
    return (last.finished_at or last.created_at) + pause <= now


def by_vault(
    vaults: Iterable[KnownVault], checks: Iterable[StoredKeyCheck]
) -> list[tuple[KnownVault, list[StoredKeyCheck]]]:
    """Pair each Vault with its checks, in their order."""
    of: dict[tuple[OrganizationId, Place], list[StoredKeyCheck]] = {}
    for check in checks:
        of.setdefault((check.organization_id, check.place), []).append(check)
    return [(vault, of.get((vault.organization_id, vault.place), [])) for vault in vaults]
