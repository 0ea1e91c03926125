"""Opaque bearers: random values that are shown once and stored as SHA-256.

A slow hash would add nothing to 256 random bits and cost 150 ms of CPU for each request.
"""

import hashlib
import hmac
import secrets
from enum import StrEnum, unique

from runpass.secret import Secret


@unique
class Bearer(StrEnum):
    """Which door a bearer is for. It begins with this, which helps people and secret scanners; nothing goes by it."""

    API_KEY = "rps"
    SESSION = "rpc"
    FORM = "rpf"
    """Of people who are not signed in yet: the cookie beside a form."""
    INVITATION = "rpv"
    SET_UP = "rpu"
    OPENID_STATE = "rpo"
    JOIN_TOKEN = "rpj"  # noqa: S105 -- how one begins
    RUNNER_KEY = "rpr"
    LEASE = "rpl"
    TASK = "rpt"
    ID_TOKEN_REQUEST = "rpi"  # noqa: S105 -- how one begins
    RELYING_PARTY = "rpq"
    NOBODY = "nobody"
    """For no door: what is compared where there is nothing to compare with, so that both take the same time."""


def new_bearer(kind: Bearer) -> Secret:
    """Give a fresh bearer of 256 random bits."""
    return Secret(f"{kind}_{secrets.token_urlsafe(32)}")


def digest(bearer: Secret) -> bytes:
    """Give what is stored of a bearer."""
    return hashlib.sha256(bearer.reveal().encode()).digest()


def matches(bearer: Secret, stored: bytes) -> bool:
    """Whether this is the bearer that was stored, compared in constant time."""
    return hmac.compare_digest(digest(bearer), stored)
