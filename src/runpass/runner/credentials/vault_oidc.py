"""Vault OIDC: a login with the run's identity token, the variables it gives to the commands, and its end."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from runpass.errors import JobError
from runpass.protocol.credentials import VaultOidc
from runpass.protocol.vault_logins import LoginEnd
from runpass.runner.credentials.account import LoginAccount
from runpass.runner.credentials.renewal import Renewal
from runpass.runner.identity import LoginIdentity
from runpass.runner.masking import Mask
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import VaultFailure
from runpass.vault.login import may_have_given_a_token
from runpass.vault.references import SecretReference
from runpass.vault.secrets import read_secrets
from runpass.vault.session import Revocation, VaultSession
from runpass.vault.transport import Tls, clean_address

log = structlog.get_logger()
REVOKE_PAUSES: Final = (0.2, 1.0, 3.0)
MOST_IDLE: Final = 64
"""Vaults whose connections are kept while no run uses them."""
LOGIN_SECONDS: Final = 15.0
"""How long the end of a run waits for a login; one takes longer only if the resolver does."""
CA_FILE: Final = "ca.pem"
CERTIFICATE_FILE: Final = "client.pem"
KEY_FILE: Final = "client-key.pem"
FILE_VARIABLES: Final = {
    CA_FILE: "VAULT_CACERT",
    CERTIFICATE_FILE: "VAULT_CLIENT_CERT",
    KEY_FILE: "VAULT_CLIENT_KEY",
}
NOT_ENDED: Final = "The Vault login did not end; its token, if there is one, lives until its TTL."


_Key = tuple[str, Tls, float]
Replace = Callable[[Secret, Secret], Awaitable[None]]
"""Takes a token and its successor."""
Say = Callable[[str], Awaitable[None]]


class VaultPools:
    """The connections to the Vaults this runner has met, kept after a run: making them anew costs most of a login.

    SECURITY: a connection is shared only by credentials that trust the same authorities, expect the same name and show
    the same certificate. The addresses come from tenants, so no more than `MOST_IDLE` that nobody uses are kept.
    """

    def __init__(self, ca_bundle: Path | None = None) -> None:
        self._ca_bundle = ca_bundle
        self._clients: dict[_Key, VaultClient] = {}
        self._users: Counter[_Key] = Counter()
        self._lock = threading.Lock()
        self.late: set[asyncio.Task[None]] = set()
        """Revocations of logins that ended after their run."""

    def take(self, credential: VaultOidc) -> VaultClient:
        """Give the Vault of this credential, seen from its namespace; to be given back when its session is over."""
        tls, timeout = tls_of(credential, self._ca_bundle), float(credential.timeout_seconds)
        key = clean_address(credential.address), tls, timeout
        with self._lock:
            client = self._clients.pop(key, None) or VaultClient(key[0], tls=tls, timeout=timeout)
            self._clients[key] = client  # at the end: it is the last one to be closed
            self._users[key] += 1
            return client.in_namespace(credential.namespace)

    def give_back(self, client: VaultClient) -> None:
        """Say that one user of this client is done with it."""
        with self._lock:
            self._users -= Counter([(client.address, client.tls, client.timeout)])  # forgets it at zero
            idle = [key for key in self._clients if key not in self._users]
            for key in idle[: max(len(idle) - MOST_IDLE, 0)]:
                self._clients.pop(key).close()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Attempt:
    """A login that was started."""

    credential: VaultOidc
    identity: LoginIdentity
    task: asyncio.Task[VaultSession]


class VaultLogins:
    """The logins of one run. Each one that was started is ended, even if nobody waited for its answer any more."""

    def __init__(self, pools: VaultPools, mask: Mask, account: LoginAccount, replace: Replace, say: Say) -> None:
        self._pools = pools
        self._mask = mask
        self._account = account
        self._replace = replace
        self._say = say
        self._started: list[_Attempt] = []
        self._renewals: list[asyncio.Task[None]] = []

    async def log_in(self, credential: VaultOidc, identity: LoginIdentity) -> VaultSession:
        """Log in; raises the `VaultFailure` that says why not. The token is kept alive until `close`."""
        attempt = self._start(credential, identity)
        session = await self._answer(attempt)
        self._renewals.append(asyncio.create_task(self._keep(attempt, session)))
        return session

    def is_not_made(self, identity: LoginIdentity) -> None:
        """Say that no login is made with this identity: the server need not count a token for it."""
        self._account.gives_none(identity.login_id)

    def _start(self, credential: VaultOidc, identity: LoginIdentity) -> _Attempt:
        task = asyncio.create_task(asyncio.to_thread(self._log_in, credential, identity.token))
        attempt = _Attempt(credential, identity, task)
        self._started.append(attempt)
        return attempt

    async def _answer(self, attempt: _Attempt) -> VaultSession:
        login_id = attempt.identity.login_id
        try:
            # SECURITY: a cancelled run leaves the login going on: only its answer holds the token to be revoked.
            session = await asyncio.shield(attempt.task)
        except VaultFailure as error:
            if not may_have_given_a_token(error):
                self._account.gives_none(login_id)
            raise
        self._mask.add({"VAULT_TOKEN": session.token, "the accessor of VAULT_TOKEN": session.granted.accessor})
        self._account.gave(login_id, session.granted)
        return session

    async def _keep(self, first: _Attempt, session: VaultSession) -> None:
        """Keep the way into a Vault open: `newest` is the attempt whose token is the one in use."""
        newest = first

        async def again(old: VaultSession) -> VaultSession:
            nonlocal newest
            attempt = self._start(newest.credential, await newest.identity.again())
            found = await self._answer(attempt)
            newest = attempt
            await self._replace(old.token, found.token)
            return found

        def renewed(_: VaultSession, left: timedelta) -> None:
            self._account.renewed(newest.identity.login_id, left)

        await Renewal(again, renewed, self._say).keep(session)

    def _log_in(self, credential: VaultOidc, jwt: Secret) -> VaultSession:
        client = self._pools.take(credential)
        try:
            return VaultSession.login(
                client, mount=credential.jwt_auth_backend_path, role=credential.role_name, jwt=jwt
            )
        except BaseException:
            self._pools.give_back(client)
            raise

    async def read(
        self, session: VaultSession, references: tuple[SecretReference, ...], namespace: str
    ) -> dict[SecretReference, Secret]:
        """Give the value of every reference, or raise one `VaultFailure` that names all that could not be read.

        They are in `namespace`, unless they name another one.

        SECURITY: they are not masked yet; the caller does that before anything can show them.
        """
        if not references:
            return {}
        client = session.client.in_namespace(namespace)
        return dict(await asyncio.to_thread(read_secrets, client, references))

    def stop_renewing(self) -> None:
        """Let every token end by itself from now on: whoever counts on that has counted from now."""
        for renewal in self._renewals:
            renewal.cancel()

    async def close(self) -> list[str]:
        """Stop renewing, revoke every token, and give a sentence for each one that still lives."""
        self.stop_renewing()
        await asyncio.gather(*self._renewals, return_exceptions=True)
        started, self._started = self._started, []
        if started:
            await asyncio.wait([attempt.task for attempt in started], timeout=LOGIN_SECONDS)
        sentences = await asyncio.gather(*(self._close(attempt) for attempt in started))
        return [sentence for sentence in sentences if sentence]

    async def _close(self, attempt: _Attempt) -> str | None:
        login_id = attempt.identity.login_id
        if not attempt.task.done():
            self._account.ended(login_id, LoginEnd.GOING_ON)
            attempt.task.add_done_callback(self._ended_late)
            return NOT_ENDED
        if attempt.task.cancelled():
            return None
        error = attempt.task.exception()
        if error is not None:
            unknown = isinstance(error, VaultFailure) and may_have_given_a_token(error)
            self._account.ended(login_id, LoginEnd.FAILED if unknown else LoginEnd.NO_TOKEN)
            return None
        session = attempt.task.result()
        if not self._account.knows(login_id):  # the run ended before the login did: its accessor is told all the same
            self._account.gave(login_id, session.granted)
        self._account.ended(login_id, LoginEnd.FAILED)  # until it is known to be otherwise
        end, sentence = await self._end(session)
        self._account.ended(login_id, end)
        return sentence

    async def _end(self, session: VaultSession) -> tuple[LoginEnd, str | None]:
        try:
            return await _revoke(session)
        finally:
            self._pools.give_back(session.client)

    def _ended_late(self, attempt: asyncio.Task[VaultSession]) -> None:
        """Revoke what a login gave after its run was over. SECURITY: its sentence has nobody but the log to go to."""
        if attempt.cancelled() or attempt.exception() is not None:
            return
        revocation = asyncio.create_task(self._end_late(attempt.result()))
        self._pools.late.add(revocation)
        revocation.add_done_callback(self._pools.late.discard)

    async def _end_late(self, session: VaultSession) -> None:
        try:
            _, sentence = await self._end(session)
        except Exception:  # the connections may be closed by now
            log.exception("vault_login_ended_late")
        else:
            log.warning("vault_login_ended_late", problem=sentence)


async def _revoke(session: VaultSession) -> tuple[LoginEnd, str | None]:
    for pause in (*REVOKE_PAUSES, None):
        try:
            revocation = await asyncio.to_thread(session.revoke)
            return LoginEnd(revocation.value), _lives_on(revocation, session)
        except VaultFailure as error:
            log.warning("vault_token_not_revoked", code=error.code, error=error.message)
            if pause is not None:
                await asyncio.sleep(pause)
    return LoginEnd.FAILED, f"The Vault token could not be revoked: {_until(session)}"


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


def tls_of(credential: VaultOidc, ca_bundle: Path | None) -> Tls:
    """Give how to be sure of this credential's Vault; `ca_bundle` is the runner's, for those that bring none."""
    return Tls(
        ca_bundle=ca_bundle if credential.ca_bundle is None else None,
        ca_certificates=credential.ca_bundle,
        client_certificate=credential.client_certificate,
        client_key=credential.client_key,
        server_name=credential.server_name,
        proxy=credential.proxy,
    )


def files(credential: VaultOidc, ca_bundle: Path | None) -> dict[str, bytes]:
    """Give the files that programs need to be sure of the Vault as the runner is: name → content.

    Raises `JobError` if the runner's own `ca_bundle` cannot be read.
    """
    if not credential.export_token:
        return {}
    given: dict[str, bytes] = {}
    if credential.ca_bundle is not None:
        given[CA_FILE] = credential.ca_bundle.encode()
    elif ca_bundle is not None:
        try:
            given[CA_FILE] = ca_bundle.read_bytes()
        except OSError as error:
            raise JobError(f"The runner's CA bundle could not be read: {error.strerror}.") from error
    if credential.client_certificate is not None and credential.client_key is not None:
        given[CERTIFICATE_FILE] = credential.client_certificate.encode()
        given[KEY_FILE] = credential.client_key.reveal().encode()
    return given


def variables(credential: VaultOidc, session: VaultSession, written: Mapping[str, Path]) -> dict[str, str]:
    """Give what the `vault` and `bao` programs and Terraform's provider need. `bao` reads Vault's names as well.

    `written` are the `files`, where they stand now.
    """
    if not credential.export_token:
        return {}
    given = {"VAULT_ADDR": credential.address, "VAULT_TOKEN": session.token.reveal()}
    if credential.reading_namespace:
        given["VAULT_NAMESPACE"] = credential.reading_namespace
    if credential.server_name is not None:
        given["VAULT_TLS_SERVER_NAME"] = credential.server_name
    if credential.proxy is not None:
        given["VAULT_PROXY_ADDR"] = credential.proxy
    if credential.skip_child_token:
        given["TERRAFORM_VAULT_SKIP_CHILD_TOKEN"] = "true"  # noqa: S105 -- no token
    return given | {FILE_VARIABLES[name]: str(path) for name, path in written.items()}
