"""Vault OIDC: a login with the run's identity token, the variables it gives to the commands, and its end."""

import asyncio
import threading
from pathlib import Path
from typing import Final

import structlog

from runpass.protocol.credentials import VaultOidc
from runpass.runner.credentials.renewal import keep_alive
from runpass.runner.masking import Mask
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import VaultFailure
from runpass.vault.references import SecretReference
from runpass.vault.session import Revocation, VaultSession

log = structlog.get_logger()
REVOKE_PAUSES: Final = (0.2, 1.0, 3.0)


class VaultPools:
    """The connections to all Vaults this runner has met, kept for its life: making them anew costs most of a login."""

    def __init__(self, ca_bundle: Path | None = None) -> None:
        self._ca_bundle = ca_bundle
        self._clients: dict[str, VaultClient] = {}
        self._lock = threading.Lock()

    def client(self, credential: VaultOidc) -> VaultClient:
        """Give the Vault of this credential, seen from its namespace."""
        with self._lock:
            if credential.address not in self._clients:
                self._clients[credential.address] = VaultClient(credential.address, ca_bundle=self._ca_bundle)
            return self._clients[credential.address].in_namespace(credential.namespace)

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()


class VaultLogins:
    """The logins of one run. Each one that was started is ended, even if nobody waited for its answer any more."""

    def __init__(self, pools: VaultPools, mask: Mask) -> None:
        self._pools = pools
        self._mask = mask
        self._started: list[asyncio.Task[VaultSession]] = []
        self._renewals: list[asyncio.Task[None]] = []

    async def log_in(self, credential: VaultOidc, jwt: Secret) -> VaultSession:
        """Log in; raises the `VaultFailure` that says why not."""
        task = asyncio.create_task(asyncio.to_thread(self._log_in, credential, jwt))
        self._started.append(task)
        # SECURITY: a cancelled run leaves the login going on: only its answer holds the token to be revoked.
        session = await asyncio.shield(task)
        self._mask.add([session.token, session.granted.accessor])
        self._renewals.append(asyncio.create_task(keep_alive(session)))
        return session

    def _log_in(self, credential: VaultOidc, jwt: Secret) -> VaultSession:
        return VaultSession.login(
            self._pools.client(credential),
            mount=credential.jwt_auth_backend_path,
            role=credential.role_name,
            jwt=jwt,
        )

    async def read(
        self, session: VaultSession, references: tuple[SecretReference, ...]
    ) -> dict[SecretReference, Secret]:
        """Give the value of every reference, or raise one `VaultFailure` that names all that could not be read."""
        if not references:
            return {}
        values = dict(await asyncio.to_thread(session.read_secrets, references))
        self._mask.add(values.values())
        return values

    async def close(self) -> list[str]:
        """Stop renewing, revoke every token, and give a sentence for each one that still lives."""
        for renewal in self._renewals:
            renewal.cancel()
        await asyncio.gather(*self._renewals, return_exceptions=True)
        started, self._started = self._started, []
        done = await asyncio.gather(*started, return_exceptions=True)
        sessions = [session for session in done if isinstance(session, VaultSession)]
        sentences = await asyncio.gather(*(_revoke(session) for session in sessions))
        return [sentence for sentence in sentences if sentence]


async def _revoke(session: VaultSession) -> str | None:
    for pause in (*REVOKE_PAUSES, None):
        try:
            return _lives_on(await asyncio.to_thread(session.revoke), session)
        except VaultFailure as error:
            log.warning("vault_token_not_revoked", code=error.code, error=error.message)
            if pause is not None:
                await asyncio.sleep(pause)
    return f"The Vault token could not be revoked: {_until(session)}"


def _lives_on(revocation: Revocation, session: VaultSession) -> str | None:
    match revocation:
        case Revocation.REVOKED | Revocation.ALREADY_GONE:
            return None
        case Revocation.NOT_REVOCABLE:
            return f"The Vault token is a batch token, which cannot be revoked: {_until(session)}"
        case Revocation.NOT_ALLOWED:
            return f"No policy of the Vault token lets it revoke itself: {_until(session)}"


def _until(session: VaultSession) -> str:
    seconds = session.granted.ttl.total_seconds()
    return f"it ends by itself within {seconds:g} seconds." if seconds else "it does not expire."


def variables(credential: VaultOidc, session: VaultSession, ca_bundle: Path | None) -> dict[str, str]:
    """Give what the `vault` and `bao` programs and Terraform's provider need. `bao` reads Vault's names as well."""
    given = {"VAULT_ADDR": credential.address, "VAULT_TOKEN": session.token.reveal()}
    if credential.namespace:
        given["VAULT_NAMESPACE"] = credential.namespace
    if ca_bundle is not None:
        given["VAULT_CACERT"] = str(ca_bundle)
    return given
