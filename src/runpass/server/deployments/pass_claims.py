"""What the identity tokens of a run say, in parts: what all of them say alike, and what each says alone. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

OF_ONE_TOKEN: Final = ("jti", "iat", "nbf", "exp", "credentialId")
"""Claims that are no part of the run's identity, even if there was only one token."""

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as a page shows it."""

    name: str
    value: str
    """As text; one that is none is shown in JSON."""


def claims_in(text: str | None) -> Claims | None:
    """Give the claims that were kept of a token; None where they were not."""
    return None if text is None else dict(json.loads(text))


def alike(tokens: Sequence[Claims]) -> Claims:
    """Give the claims that all of these tokens have, with the same value, but for those of one token alone."""
    if not tokens:
        return {}
    first, *others = tokens
    shared = {name: value for name, value in first.items() if name not in OF_ONE_TOKEN}
    return {name: value for name, value in shared.items() if all(_says(other, name, value) for other in others)}


def alone(token: Claims, shared: Claims) -> Claims:
    """Give what a token says beside what all say, and beside what is no part of the identity."""
    return {name: value for name, value in token.items() if name not in shared and name not in OF_ONE_TOKEN}


def shown(claims: Claims) -> list[Claim]:
    """Give claims for people to read, in their order."""
    return [Claim(name, value if isinstance(value, str) else _in_json(value)) for name, value in claims.items()]


def expires_at(claims: Claims) -> datetime | None:
    """Give when a token expires (`exp`, RFC 7519 section 4.1.4)."""
    seconds = claims.get("exp")
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None


def _says(token: Claims, name: str, value: Any) -> bool:
    return name in token and bool(token[name] == value)


def _in_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
