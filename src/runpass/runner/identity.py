"""Workload identity tokens of a run, asked for and hidden from every log before anybody can use them."""

from uuid import UUID

from runpass.protocol.identity import ForCredential, ForJob, Purpose
from runpass.protocol.run_lease import RunLease
from runpass.runner.control_plane import ControlPlane
from runpass.runner.masking import Mask
from runpass.secret import Secret


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
            tokens["ENV0_OIDC_TOKEN"] = await self._ask(ForJob(), "ENV0_OIDC_TOKEN")
        if self._lease.vault_identity:
            tokens["ENV0_VAULT_OIDC_TOKEN"] = await self._ask(ForJob(audience_format="v2"), "ENV0_VAULT_OIDC_TOKEN")
        return tokens

    async def for_credential(self, credential_id: UUID) -> Secret:
        """Give the token for the login of one credential. SECURITY: it stays in the runner."""
        return await self._ask(ForCredential(credential_id=credential_id), "the identity token of the login")

    async def _ask(self, purpose: Purpose, name: str) -> Secret:
        answer = await self._control_plane.identity_token(self._lease, purpose)
        self._mask.add({name: answer.token})
        return answer.token
