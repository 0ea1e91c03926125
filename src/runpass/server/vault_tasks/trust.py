"""Whether a Vault still trusts a key, from what a runner saw of it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from runpass.protocol.key_checks import ProbeVerdict, Refetched
from runpass.server.vault_tasks.key_check_model import StoredKeyCheck
from runpass.server.vault_tasks.known_vaults import Keys, KnownVault
from runpass.server.vault_tasks.model import TaskStatus


class Trust(StrEnum):
    """What is known of a Vault and a key that it should not trust."""

    CURED = "cured"
    """It has refused a token that the key signed, for its signature."""
    TRUSTED = "trusts-the-key"
    PUSHED = "pushed-keys"
    """It trusts the key, and fetches nothing: somebody wrote the key into its config."""
    UNREACHABLE = "unreachable"
    NO_RUNNER = "no-runner"
    NOT_CONFIRMED = "not-confirmed"
    """It answered, and what it said proves nothing."""


WORTH_ANOTHER_WAY: Final = frozenset({Trust.UNREACHABLE, Trust.NOT_CONFIRMED})
"""What another credential or another pool may find out."""
WRITE_PUSHED: Final = "its keys are written in its config: write them again with `runpass vault apply`"
PROXY: Final = (
    "it fetched the key set, or had to, and still accepts the key: does its jwks_url lead to this issuer, and does"
    " something on the way keep an old answer?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultTrust:
    """One Vault and the key, why that is thought of it, and the Vault's own words, or why there are none."""

    vault: KnownVault
    trust: Trust
    why: str = ""
    said: str = ""


def judged(vault: KnownVault, check: StoredKeyCheck | None, now: datetime) -> VaultTrust:
    """Give what the last check of a Vault proves. SECURITY: whatever is not a proof is not a cure."""
    trust, why = (Trust.NOT_CONFIRMED, "it was not checked") if check is None else _judged(vault, check, now)
    return VaultTrust(vault=vault, trust=trust, why=why, said=(check.said if check else None) or "")


def cured_before(vault: KnownVault, cured_at: datetime) -> VaultTrust:
    """Give what is known of a Vault once the cure has ended: the probes are gone, so it is not asked again."""
    if all(credential.created_at > cured_at for credential in vault.credentials):
        why = "it became known after the cure had ended, when there was no probe any more"
        return VaultTrust(vault=vault, trust=Trust.NOT_CONFIRMED, why=why)
    return VaultTrust(vault=vault, trust=Trust.CURED, why=f"shown at {cured_at:%Y-%m-%d %H:%M} UTC")


def _judged(vault: KnownVault, check: StoredKeyCheck, now: datetime) -> tuple[Trust, str]:
    match check.status(now):
        case TaskStatus.QUEUED | TaskStatus.NOT_TAKEN:
            return Trust.NO_RUNNER, "no runner of the organization took the check: start one and repeat the command"
        case TaskStatus.IN_PROGRESS | TaskStatus.LOST:
            return Trust.NOT_CONFIRMED, "the runner that took the check has not said what it saw"
        case TaskStatus.DONE:
            return _done(vault, check)


def _done(vault: KnownVault, check: StoredKeyCheck) -> tuple[Trust, str]:
    if check.refetched is None:
        return Trust.NOT_CONFIRMED, "the check was not sent to it"
    match check.probe_verdict:
        case ProbeVerdict.REFUSED_EXPIRED | ProbeVerdict.ACCEPTED:
            is_pushed = check.refetched is Refetched.PUSHED_KEYS or vault.keys is Keys.PUSHED
            return (Trust.PUSHED, WRITE_PUSHED) if is_pushed else (Trust.TRUSTED, _why_trusted(check))
        case ProbeVerdict.REFUSED_SIGNATURE if check.refetched is not Refetched.ACCEPTED:
            return Trust.CURED, ""
        case _ if check.refetched is Refetched.ACCEPTED:
            return Trust.NOT_CONFIRMED, "it lets tokens in that nobody signed: take this auth method away at once"
        case _ if not check.reached:
            return Trust.UNREACHABLE, "the runner got no answer from its auth method"
        case _ if check.refetched is Refetched.FETCH_FAILED:
            return Trust.NOT_CONFIRMED, "it could not fetch the key set, or not read it"
        case None:
            return (
                Trust.NOT_CONFIRMED,
                "the private half was gone before a probe was signed: nothing can be shown to it",
            )
        case _:
            return Trust.NOT_CONFIRMED, "it refused the login before it looked at the signature"


def _why_trusted(check: StoredKeyCheck) -> str:
    if check.refetched is Refetched.FETCH_FAILED:
        return "it still accepts the key, and could not fetch the key set"
    return PROXY
