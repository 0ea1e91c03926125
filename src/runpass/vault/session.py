"""`VaultSession`: a login and what is done with it, ended by revoking its token."""

import contextlib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from types import TracebackType
from typing import Self

from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import AnswerNotUnderstood, Place, PolicyDenied, TokenInvalid, VaultFailure
from runpass.vault.login import VaultLogin, jwt_login, seconds
from runpass.vault.secrets import SecretReference, read_secrets


class Revocation(StrEnum):
    """What became of a token that was to be revoked."""

    REVOKED = "revoked"
    """Gone, with all Vault leases it held."""
    ALREADY_GONE = "already-gone"
    """The Vault did not know it any more: expired, used up, or revoked by somebody else."""
    NOT_REVOCABLE = "not-revocable"
    """A batch token: it lives until its TTL is over, whatever anybody does."""
    NOT_ALLOWED = "not-allowed"
    """No policy lets it revoke itself (the role leaves out the default policy): it lives until its TTL is over."""


class VaultSession:
    """A logged-in client. Leaving it as a context manager revokes the token; closing the pool is the client's."""

    def __init__(self, client: VaultClient, login: VaultLogin) -> None:
        self.granted = login
        self.client = client.with_token(login.client_token)
        self._revocation: Revocation | None = None

    @classmethod
    def login(cls, client: VaultClient, *, mount: str, role: str, jwt: Secret) -> Self:
        """Give the session of a JWT login; raises what `runpass.vault.login.jwt_login` raises."""
        return cls(client, jwt_login(client, mount=mount, role=role, jwt=jwt))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.revoke()
            return
        with contextlib.suppress(VaultFailure):  # what went wrong inside matters more
            self.revoke()

    @property
    def token(self) -> Secret:
        """The Vault token of this session."""
        return self.granted.client_token

    def read_secrets(self, references: Iterable[SecretReference]) -> Mapping[SecretReference, Secret]:
        """Give the value of every reference (`runpass.vault.secrets.read_secrets`)."""
        return read_secrets(self.client, references)

    def renew(self) -> timedelta:
        """Renew the token, and give how long it lives now; raises the `VaultFailure` that says why not."""
        answer = self.client.write("auth/token/renew-self")
        left = seconds(answer.auth.get("lease_duration"))
        if left is None:
            place = Place(self.client.address, self.client.namespace)
            raise AnswerNotUnderstood(f"{place} renewed the token and did not say for how long", status=answer.status)
        return timedelta(seconds=left)

    def revoke(self) -> Revocation:
        """End the token, and say honestly whether that worked; calling it again changes nothing.

        Raises `VaultFailure` when the Vault could not be asked: then the token may still live.
        """
        if self._revocation is None:
            self._revocation = self._revoke()
        return self._revocation

    def _revoke(self) -> Revocation:
        if self.granted.is_batch:
            return Revocation.NOT_REVOCABLE
        try:
            self.client.write("auth/token/revoke-self")
        except TokenInvalid:
            return Revocation.ALREADY_GONE
        except PolicyDenied:
            return Revocation.NOT_ALLOWED
        return Revocation.REVOKED
