"""The registered claims (RFC 7519, section 4.1), read and judged as hashicorp/cap does. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runpass.vault.explain.go_json import kind

AUDIENCE: Final = "go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience"
NUMERIC_DATE: Final = "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate"
DEFAULT_FILL_SECONDS: Final = 150
"""What a missing exp or nbf is computed with, where the role does not say."""
DEFAULT_SKEW_SECONDS: Final = 60
_MOST: Final = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What the registered claims say; a missing time is 0."""

    issuer: str = ""
    subject: str = ""
    audience: tuple[str, ...] = ()
    issued_at: int = 0
    not_before: int = 0
    expiry: int = 0


class WrongType(ValueError):
    """A registered claim has a type that it must not have; `str()` is Go's sentence."""


def read(claims: Mapping[str, Any]) -> Registered:
    """Give the registered claims. Raises `WrongType` for the one that the server names."""
    # In the order of their names: the server has written the claims anew, sorted, before it reads these.
    audience = _audience(claims["aud"]) if "aud" in claims else ()
    expiry, issued_at = _date(claims.get("exp")), _date(claims.get("iat"))
    issuer, _ = _text(claims.get("iss"), "iss"), _text(claims.get("jti"), "jti")
    not_before, subject = _date(claims.get("nbf")), _text(claims.get("sub"), "sub")
    return Registered(
        issuer=issuer,
        subject=subject,
        audience=audience,
        issued_at=issued_at,
        not_before=not_before,
        expiry=expiry,
    )


def _audience(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise WrongType(AUDIENCE)
    return tuple(found)


def _date(value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, float) or isinstance(value, bool):
        raise WrongType(NUMERIC_DATE)
    whole = int(value)
    return whole if -_MOST <= whole < _MOST else -_MOST


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongType(f"json: cannot unmarshal {kind(value)} into Go struct field Claims.{name} of type string")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Leeways:
    """A role's leeways in seconds: 0 is the server's default, below 0 none."""

    clock_skew: int = 0
    expiration: int = 0
    not_before: int = 0

    @property
    def skew(self) -> int:
        """Give the seconds by which each time may be off."""
        return _leeway(self.clock_skew, DEFAULT_SKEW_SECONDS)


@dataclass(frozen=True, slots=True)
class Times:
    """The three times as they are judged, missing ones filled in."""

    not_before: int
    expiry: int
    issued_at: int


def filled(found: Registered, leeways: Leeways) -> Times | None:
    """Give the times that are judged; None where there is not one. The leeways for exp and nbf only fill in."""
    if not (found.issued_at or found.expiry or found.not_before):
        return None
    fill = _leeway(leeways.expiration, DEFAULT_FILL_SECONDS)
    expiry = found.expiry or max(found.issued_at, found.not_before) + fill
    backwards = _leeway(leeways.not_before, DEFAULT_FILL_SECONDS)
    not_before = found.not_before or found.issued_at or expiry - backwards
    return Times(not_before, expiry, found.issued_at)


def _leeway(seconds: int, default: int) -> int:
    return max(seconds, 0) or (default if seconds == 0 else 0)
