"""Workload identity tokens of a run, asked for and hidden from every log before anybody can use them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from runpass.protocol.identity import ForCredential, ForJob, IdentityToken, Purpose
from runpass.protocol.run_lease import RunLease
from runpass.runner.control_plane import ControlPlane
from runpass.runner.masking import Mask
from runpass.secret import Secret


@dataclass(frozen=True, slots=True)
class LoginIdentity:
    """What one login at a Vault is made with."""

    token: Secret
    login_id: UUID | None
    """What the server knows the login by, if it keeps an account of logins."""
    again: Callable[[], Awaitable["LoginIdentity"]]
    """Asks for the identity of another login with the same credential."""


class Identity:
    """The identity of one run."""

    def __init__(self, control_plane: ControlPlane, lease: RunLease, mask: Mask) -> None:
        self._control_plane = control_plane
        self._lease = lease
        self._mask = mask

    async def for_job(self) -> dict[str, Secret]:
        """Give the tokens that the commands get, by the names of their variables. They never carry a credential."""
        tokens = {}
        if self._lease.identity:
            tokens["ENV0_OIDC_TOKEN"] = (await self._ask(ForJob())).token
        if self._lease.vault_identity:
            tokens["ENV0_VAULT_OIDC_TOKEN"] = (await self._ask(ForJob(audience_format="v2"))).token
        return tokens

    async def for_credential(self, credential_id: UUID) -> LoginIdentity:
        """Give the token for the login of one credential. SECURITY: it stays in the runner."""
        answer = await self._ask(ForCredential(credential_id=credential_id))
        return LoginIdentity(answer.token, answer.login_id, lambda: self.for_credential(credential_id))

    async def _ask(self, purpose: Purpose) -> IdentityToken:
        answer = await self._control_plane.identity_token(self._lease, purpose)
        self._mask.add([answer.token])
        return answer
