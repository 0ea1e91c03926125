"""Inline authentication: each request carries the login itself, and no token ever exists. OpenBao, from 2.4 on.

Vault knows nothing of it. What such a request may not do, beside what the role's policies do not allow: get anything
that has a lease, and speak to token endpoints.
"""

import base64
import json
from dataclasses import dataclass
from typing import Final

from runpass.secret import Secret
from runpass.vault import paths
from runpass.vault.answer import VaultAnswer
from runpass.vault.errors import AnswerNotUnderstood, Place, SecretUnusable, VaultFailure, visible
from runpass.vault.refusals import login_refused

FAILED_HEADER: Final = "x-vault-inline-auth-failed"
_LEASES: Final = "cannot generate leases"
_WITHOUT: Final = ("missing client token", "permission denied")


@dataclass(frozen=True, slots=True)
class InlineLogin:
    """The login that requests carry: a JWT auth method (written without `auth/`), a role, and the token for it.

    `namespace` is the auth method's, from the root down; that of the request may be another one.
    """

    mount: str
    role: str
    jwt: Secret
    namespace: str = ""

    def headers(self) -> dict[bytes, bytes]:
        """Give the headers of a request. SECURITY: they hold the JWT; they are for the wire and nothing else."""
        path = f"auth/{paths.checked(self.mount, 'auth mount path')}/login"
        return {
            b"X-Vault-Inline-Auth-Path": path.encode(),
            b"X-Vault-Inline-Auth-Operation": b"update",
            b"X-Vault-Inline-Auth-Namespace": (paths.namespace(self.namespace) or "root").encode(),
            b"X-Vault-Inline-Auth-Parameter-role": _parameter("role", self.role),
            b"X-Vault-Inline-Auth-Parameter-jwt": _parameter("jwt", self.jwt.reveal()),
        }

    def failure(self, answer: VaultAnswer, place: Place, *, login_failed: bool) -> VaultFailure | None:
        """Give what an answer outside 2xx means because of the login in its request; None if it is about the rest."""
        text = "; ".join(answer.errors)
        if login_failed:
            return login_refused(answer, place, self.mount, self.role)
        if _LEASES in text:
            return SecretUnusable(
                f"{visible(place.path, 512)} gives a lease, which inline authentication cannot have",
                hint="Use a credential without inlineAuth for dynamic secrets.",
                vault_error=answer.vault_error,
                status=answer.status,
            )
        if text in _WITHOUT:
            return AnswerNotUnderstood(
                f"{place} took no notice of the inline authentication, or this address may not log in",
                hint="It needs OpenBao 2.4 or newer; a Vault does not have it. Else turn inlineAuth off.",
                status=answer.status,
            )
        return None


def _parameter(key: str, value: str) -> bytes:
    encoded = base64.urlsafe_b64encode(json.dumps({"key": key, "value": value}).encode())
    return encoded.rstrip(b"=")  # OpenBao refuses padding
