"""Answers of Vault's HTTP API: the record, and the one place that tells an answer from an error. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runpass.secret import PLACEHOLDER
from runpass.vault.errors import (
    AnswerNotUnderstood,
    MountNotFound,
    NamespaceNotFound,
    Place,
    PolicyDenied,
    RateLimited,
    RequestRefused,
    Sealed,
    SecretNotFound,
    TokenInvalid,
    VaultFailure,
    visible,
)


@dataclass(frozen=True, slots=True)
class VaultAnswer:
    """An answer that Vault's API gave. `data` and `auth` may be secret and stay out of `repr`.

    `errors` is empty unless the caller accepted a status that carries them (`VaultClient.request`).
    """

    status: int
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    auth: Mapping[str, Any] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def vault_error(self) -> str | None:
        """Vault's own words, bounded and escaped; None when it said nothing."""
        return visible("; ".join(self.errors)) if self.errors else None


def parse(status: int, body: bytes, place: Place, secrets: Iterable[str] = ()) -> VaultAnswer:
    """Give the answer that is in `body`; `secrets` are cut out of Vault's own words.

    Raises `AnswerNotUnderstood` when it is not Vault's format, `RateLimited` for any 429 whatever its body.
    """
    if status == 204 or (not body and 200 <= status < 300):  # noqa: PLR2004 -- HTTP's own numbers
        return VaultAnswer(status)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    errors = _strings(content, "errors", secrets)
    if not isinstance(content, dict) or errors is None or _strings(content, "warnings", ()) is None:
        raise _not_understood(status, body, place) from None
    data = content.get("data")
    auth = content.get("auth")
    return VaultAnswer(
        status=status,
        data=data if isinstance(data, dict) else {},
        auth=auth if isinstance(auth, dict) else {},
        warnings=_strings(content, "warnings", secrets) or (),
        errors=errors,
        body=content,
    )


def _strings(content: object, name: str, secrets: Iterable[str]) -> tuple[str, ...] | None:
    """Give the list of strings in this member, nothing for a missing one, None for anything else."""
    if not isinstance(content, dict):
        return None
    found = content.get(name)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        return None
    return tuple(_without(item, secrets) for item in found)


def _without(text: str, secrets: Iterable[str]) -> str:
    # SECURITY: an answer may repeat what was sent to it; a token must not reach a log that way.
    for secret in secrets:
        text = text.replace(secret, PLACEHOLDER)
    return text


def _not_understood(status: int, body: bytes, place: Place) -> VaultFailure:
    if status == 429:  # noqa: PLR2004 -- HTTP's own number
        return _rate_limited(VaultAnswer(status), place)
    if b"HTTP request to an HTTPS server" in body[:512]:
        return AnswerNotUnderstood(
            f"{place} speaks TLS, and was asked without it", hint="Write the address with https://.", status=status
        )
    looks = "an HTML page" if body[:512].lstrip()[:1] == b"<" else "something that is not Vault's JSON"
    return AnswerNotUnderstood(
        f"{place} answered {status} with {looks}",
        hint="Check the address and its port: a proxy, a login page or another program may be answering there.",
        status=status,
    )


def _rate_limited(answer: VaultAnswer, place: Place) -> RateLimited:
    return RateLimited(
        f"{place} refuses more requests for now (rate limit)",
        hint="Try again later, or raise the rate limit quota for this path.",
        vault_error=answer.vault_error,
        status=answer.status,
    )


def failure(answer: VaultAnswer, place: Place, *, with_token: bool) -> VaultFailure:
    """Give the error that an answer outside 2xx means."""
    text = "; ".join(answer.errors)
    words, status = answer.vault_error, answer.status
    if status == 429:  # noqa: PLR2004 -- HTTP's own number
        return _rate_limited(answer, place)
    if status == 503 and "sealed" in text.lower():  # noqa: PLR2004 -- HTTP's own number
        return Sealed(f"{place} is sealed", hint="An operator has to unseal it.", vault_error=words, status=status)
    if status == 404:  # noqa: PLR2004 -- HTTP's own number
        return _not_found(text, answer, place)
    if status == 403:  # noqa: PLR2004 -- HTTP's own number
        return _forbidden(text, answer, place, with_token=with_token)
    if status in {502, 503, 504}:
        return AnswerNotUnderstood(
            f"{place} is not able to answer ({status})",
            hint="It may be starting, without a leader, or out of its storage's reach.",
            vault_error=words,
            status=status,
        )
    return RequestRefused(
        f"{place} refused the request to {visible(place.path, 512)} ({status})",
        hint="Vault's own words say why.",
        vault_error=words,
        status=status,
    )


def _not_found(text: str, answer: VaultAnswer, place: Place) -> VaultFailure:
    words, status, path = answer.vault_error, answer.status, visible(place.path, 512)
    if "namespace not found" in text:
        return namespace_not_found(place, words)
    if "no handler for route" in text:
        return MountNotFound(
            f"{place} has nothing mounted at {path}",
            hint="Check the mount's path (case matters) and the namespace.",
            vault_error=words,
            status=status,
        )
    return SecretNotFound(
        f"{place} has nothing at {path}",
        hint="Check the path and the namespace.",
        vault_error=words,
        status=status,
    )


def namespace_not_found(place: Place, words: str | None) -> NamespaceNotFound:
    """Give the error for a namespace that does not exist."""
    return NamespaceNotFound(
        f"{visible(place.address, 512)} has no namespace {visible(place.namespace, 255) or '(root)'}",
        hint="Check the namespace's whole path, from the root down.",
        vault_error=words,
        status=404,
    )


def _forbidden(text: str, answer: VaultAnswer, place: Place, *, with_token: bool) -> VaultFailure:
    words, status, path = answer.vault_error, answer.status, visible(place.path, 512)
    # OpenBao and Vault wrap a policy's no in "1 error occurred"; a bare "permission denied" is about the token.
    # Newer Vaults add "invalid token" to the latter, inside the same wrapping.
    of_policy = "preflight capability check" in text or ("error occurred" in text and "invalid token" not in text)
    if of_policy:
        return PolicyDenied(
            f"{place} does not allow this token to reach {path}",
            hint="Grant the path in a policy of the token's role, or check that the mount exists.",
            vault_error=words,
            status=status,
        )
    if not with_token:
        return TokenInvalid(f"{place} wants a token for {path}", hint="Log in first.", vault_error=words, status=status)
    return TokenInvalid(
        f"{place} does not accept the token",
        hint="It is expired, revoked, used up, of another Vault, or not allowed from this machine's IP address.",
        vault_error=words,
        status=status,
    )
