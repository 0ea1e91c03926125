"""Logins that need no privilege and give no token: what the auth method says before it has looked at a real one."""

import base64
import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from runpass.clock import Clock, unix_seconds
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import visible
from runpass.vault.refusals import Refusal, reason_of

ANY_REFUSAL: Final = frozenset({400, 403, 404, 405, 412, 500})
MAX_WORDS: Final = 400


@dataclass(frozen=True, slots=True)
class Said:
    """What an auth method answered to a login."""

    status: int
    text: str
    """The Vault's own words, as they came: for looking into, not for printing."""

    @property
    def words(self) -> str:
        """Give the Vault's own words, safe to print."""
        return visible(self.text, MAX_WORDS)

    @property
    def reason(self) -> type[Refusal]:
        """Give what the words mean."""
        return reason_of(self.text)

    @property
    def is_jwt_method(self) -> bool:
        """Whether only a JWT method says so to an empty login; a default role takes it further."""
        known = (
            "missing role",
            "could not load configuration",
            "missing token",
            '" could not be found',
            "oidc role_type",
        )
        return self.status == 400 and any(phrase in self.text for phrase in known)  # noqa: PLR2004 -- HTTP's own number


def ask(client: VaultClient, mount: str, body: dict[str, Any], *, door: str = "login") -> Said:
    """Send a login that cannot succeed. Raises `NamespaceNotFound`, and `ConnectionFailed` if nobody answers."""
    answer = client.with_token(None).write(f"auth/{mount}/{door}", body, accept=ANY_REFUSAL)
    return Said(answer.status, "; ".join(answer.errors))


def stranger(clock: Clock) -> Secret:
    """Give a JWT of a key that nobody knows, under a new id: the Vault must fetch the issuer's keys to refuse it."""
    now = unix_seconds(clock.now())
    header = {"alg": "ES256", "kid": f"runpass-doctor-{uuid4()}", "typ": "JWT"}
    payload = {
        "iss": "https://doctor.invalid/",
        "sub": "doctor",
        "aud": "doctor",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    }
    signed = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, payload))
    signature = ec.generate_private_key(ec.SECP256R1()).sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    halves = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
    return Secret(f"{signed}.{_base64url(halves)}")


def _base64url(content: bytes) -> str:
    """Give base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
