"""Workload identity tokens of a run, asked for and hidden from every log before anybody can use them."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from runpass.protocol.identity import ForCredential, ForJob, IdentityToken, Purpose
from runpass.protocol.run_lease import RunLease
from runpass.runner.control_plane import ControlPlane
from runpass.runner.masking import Mask
from runpass.secret import Secret

TOKEN: Final = "ENV0_OIDC_TOKEN"  # noqa: S105 -- a variable's name
KEPT: Final = 10
"""Tokens of one name that stay masked, the newest: each is renewed at half of its life, so the others have ended."""
VAULT_TOKEN: Final = "ENV0_VAULT_OIDC_TOKEN"  # noqa: S105 -- the same
_PURPOSES: Final = {TOKEN: ForJob(), VAULT_TOKEN: ForJob(audience_format="v2")}


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
        self._given: dict[str, deque[Secret]] = {}

    async def for_job(self) -> dict[str, IdentityToken]:
        """Give the tokens that the commands get, by the names of their variables. They never carry a credential."""
        wanted = {TOKEN: self._lease.identity, VAULT_TOKEN: self._lease.vault_identity}
        return {name: await self.ask(name) for name, is_wanted in wanted.items() if is_wanted}

    async def ask(self, name: str) -> IdentityToken:
        """Give a fresh one of the tokens that the commands get."""
        answer = await self._ask(_PURPOSES[name], name)
        given = self._given.setdefault(name, deque())
        given.append(answer.token)
        if len(given) > KEPT:
            self._mask.forget([given.popleft()])
        return answer

    async def for_credential(self, credential_id: UUID) -> LoginIdentity:
        """Give the token for the login of one credential. SECURITY: it stays in the runner."""
        purpose = ForCredential(credential_id=credential_id)
        answer = await self._ask(purpose, "the identity token of the login")
        return LoginIdentity(answer.token, answer.login_id, lambda: self.for_credential(credential_id))

    def on_demand(self) -> dict[str, str]:
        """Give the variables with which the commands ask for tokens by themselves, as GitHub names them."""
        bearer = self._lease.id_token_request_token
        if bearer is None:
            return {}
        self._mask.add({"ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer})
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": self._control_plane.id_token_url(self._lease),
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer.reveal(),
        }

    async def _ask(self, purpose: Purpose, name: str) -> IdentityToken:
        answer = await self._control_plane.identity_token(self._lease, purpose)
        self._mask.add({name: answer.token})
        return answer
