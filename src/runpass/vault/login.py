"""The JWT login: where a credential's `role_name` becomes Vault's `role`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from runpass.secret import Secret
from runpass.vault import paths
from runpass.vault.answer import VaultAnswer
from runpass.vault.client import VaultClient
from runpass.vault.errors import AnswerNotUnderstood, Place, TlsFailed, Unreachable, VaultFailure, visible
from runpass.vault.refusals import login_refused

REFUSALS = frozenset({400, 403, 404, 500})
MAX_TOKEN = 64 * 1024
"""Characters: the largest batch tokens stay far below, and an environment variable holds twice as much."""
MAX_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class VaultLogin:
    """What a Vault gave for an identity token. `ttl` zero means that the token does not expire."""

    client_token: Secret
    accessor: Secret
    """Empty for a batch token."""
    policies: tuple[str, ...]
    ttl: timedelta
    renewable: bool
    token_type: str
    entity_id: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def is_batch(self) -> bool:
        """Whether the token is a batch token: it cannot be revoked and ends with its TTL."""
        return self.token_type == "batch"  # noqa: S105 -- a kind of token


def jwt_login(client: VaultClient, *, mount: str, role: str, jwt: Secret) -> VaultLogin:
    """Log in to the JWT auth method at `mount` (written without `auth/`) as `role`.

    Raises a class of `runpass.vault.refusals` when the auth method says no, another `VaultFailure` otherwise.
    """
    path = f"auth/{paths.checked(mount, 'auth mount path')}/login"
    # SECURITY: sent without a token. One that is left over would turn "no such mount" into another answer.
    anonymous = client.with_token(None)
    answer = anonymous.write(path, {"role": role, "jwt": jwt}, accept=REFUSALS)
    if answer.status in REFUSALS:
        raise login_refused(answer, Place(client.address, client.namespace), mount, role)
    return _login(answer, Place(client.address, client.namespace, path))


def may_have_given_a_token(error: VaultFailure) -> bool:
    """Whether a login that failed so may have made a token all the same, which nobody got to know."""
    return error.has_arrived and isinstance(error, (Unreachable, AnswerNotUnderstood, TlsFailed))


def _login(answer: VaultAnswer, place: Place) -> VaultLogin:
    auth = answer.auth
    token = auth.get("client_token")
    if not isinstance(token, str) or not token:
        raise AnswerNotUnderstood(
            f"{place} accepted the login and gave no token",
            hint="Something between here and the Vault may wrap or change its answers.",
            status=answer.status,
        )
    if len(token) > MAX_TOKEN:
        raise AnswerNotUnderstood(f"{place} accepted the login and gave a token that no Vault issues")
    accessor = _text(auth.get("accessor"))
    return VaultLogin(
        client_token=Secret(token),
        accessor=Secret(accessor if accessor.isascii() and len(accessor) <= MAX_TOKEN else ""),
        policies=_texts(auth.get("policies")),
        ttl=timedelta(seconds=seconds(auth.get("lease_duration")) or 0),
        renewable=auth.get("renewable") is True,
        token_type=_text(auth.get("token_type")),
        entity_id=_text(auth.get("entity_id")),
        metadata=_metadata(auth.get("metadata")),
        warnings=tuple(visible(warning) for warning in answer.warnings[:MAX_WARNINGS]),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def seconds(value: Any) -> int | None:
    """Give a duration as an answer carries it, or nothing if it is none that a Vault would give."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**10 else None


def _metadata(value: Any) -> dict[str, str]:
    return {str(key): _text(item) for key, item in value.items()} if isinstance(value, dict) else {}
