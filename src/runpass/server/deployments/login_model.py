"""Logins at Vaults as they are stored, and the one rule that says whether a token of one may still live. Pure.

A login is counted from the moment its identity token is minted: a runner that dies between login and report leaves
nothing else behind. What cannot be known is said to be unknown, never that there is nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from runpass.ids import (
    CredentialId,
    DeploymentId,
    EnvironmentId,
    OrganizationId,
    PoolId,
    ProjectId,
    RunLeaseId,
    RunnerId,
    VaultLoginId,
)
from runpass.protocol.sweeps import SweepResult
from runpass.protocol.vault_logins import LoginEnd


class Standing(StrEnum):
    """Whether a token of a login may still live."""

    IN_USE = "in-use"
    """Its run goes on."""
    SETTLED = "settled"
    """There is none, or none any more."""
    OUTSTANDING = "outstanding"
    """There is one, and its run is over."""
    UNKNOWN = "unknown"
    """Its run is over, and nobody knows whether the login gave one."""


ENDED: Final = frozenset({LoginEnd.NO_TOKEN, LoginEnd.REVOKED, LoginEnd.ALREADY_GONE})
SWEPT: Final = frozenset({SweepResult.REVOKED, SweepResult.ALREADY_GONE})
NOT_AGAIN: Final = SWEPT | {SweepResult.NOT_OURS, SweepResult.NOT_VERIFIABLE}
"""Results after which a token is not swept again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The token that a login gave, as its runner told."""

    accessor_sealed: bytes | None
    """None for a batch token."""
    ttl: timedelta
    """The longest it was ever given; zero: it does not expire."""
    renewable: bool
    reported_at: datetime
    policies: tuple[str, ...] | None = None
    """As the Vault named them at the login; None: the runner did not say."""
    renewals: int | None = None
    """How often it was renewed, as far as the runner told; None: it does not tell."""
    lives_until: datetime | None = None
    """When it ends unless it is renewed once more, by the last word on it; None: not told, or it does not expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLogin:
    """A login that a run meant to make, and what is known of it since."""

    id: VaultLoginId
    organization_id: OrganizationId
    project_id: ProjectId
    environment_id: EnvironmentId
    pool_id: PoolId
    deployment_id: DeploymentId
    run_lease_id: RunLeaseId
    credential_id: CredentialId
    credential_name: str
    address: str
    namespace: str
    mount: str
    role_name: str
    jti: str
    intended_at: datetime
    first_ttl: timedelta | None
    """How long a token lives that the role gives, if that is known."""
    kid: str | None = None
    """The key that signed the identity token; None for a login from before this was kept, like `claims`."""
    claims: str | None = None
    """What the identity token says: the JSON that was signed."""
    gave_token: bool | None = None
    """None: the runner has not said."""
    given: Given | None = None
    ended: LoginEnd | None = None
    lease_ended_at: datetime | None = None
    sweep_after: datetime | None = None
    """When somebody may try to sweep it (again)."""
    sweeps: int = 0
    sweep_secret_sha256: bytes | None = None
    sweep_runner_id: RunnerId | None = None
    """Who has been given the task; nobody else may answer it."""
    swept: SweepResult | None = None
    swept_at: datetime | None = None
    sweep_said: str | None = None
    sweep_hint: str | None = None

    @property
    def believed(self) -> Given | None:
        """Give what the runner said of its token, unless that turned out to be another one."""
        return None if self.swept is SweepResult.NOT_OURS else self.given

    @property
    def until(self) -> datetime | None:
        """Give the latest moment at which a token can live, once the run is over; None if that is not known.

        A token that was being renewed may have been renewed until the lease ended, so it ends its TTL after that; one
        that is not renewable ends its TTL after it was reported. A login that nobody reported ends the first TTL of
        its role after the lease.
        """
        if self.lease_ended_at is None:
            return None
        found = self.believed
        if found is None:
            return None if self.first_ttl is None else self.lease_ended_at + self.first_ttl
        if not found.ttl:
            return None
        return (max(found.reported_at, self.lease_ended_at) if found.renewable else found.reported_at) + found.ttl

    def standing(self, now: datetime) -> Standing:
        """Say whether a token of this login may still live."""
        is_over = self.gave_token is False or self.ended in ENDED or self.swept in SWEPT
        if is_over or (self.until is not None and self.until <= now):
            return Standing.SETTLED
        if self.lease_ended_at is None:
            return Standing.IN_USE
        return Standing.UNKNOWN if self.believed is None else Standing.OUTSTANDING

    @property
    def can_be_swept(self) -> bool:
        """Whether a runner could revoke the token by its accessor."""
        return self.given is not None and self.given.accessor_sealed is not None and self.swept not in NOT_AGAIN
