"""Opaque bearers: random values that are shown once and stored as SHA-256.

A slow hash would add nothing to 256 random bits and cost 150 ms of CPU for each request.
"""

import hashlib
import hmac
import secrets

from runpass.secret import Secret


def new_bearer(prefix: str) -> Secret:
    """Give a fresh bearer of 256 random bits; the prefix says which door it is for (and helps secret scanners)."""
    return Secret(f"{prefix}_{secrets.token_urlsafe(32)}")


def digest(bearer: Secret) -> bytes:
    """Give what is stored of a bearer."""
    return hashlib.sha256(bearer.reveal().encode()).digest()


def matches(bearer: Secret, stored: bytes) -> bool:
    """Whether this is the bearer that was stored, compared in constant time."""
    return hmac.compare_digest(digest(bearer), stored)
