"""Who asks at the introspection door: HTTP Basic with id and secret, each form-encoded (RFC 6749, section 2.3.1)."""

import base64
from typing import Final
from urllib.parse import unquote_plus
from uuid import UUID

from runpass.errors import Unauthenticated
from runpass.ids import RelyingPartyId
from runpass.secret import Secret
from runpass.server.access.bearers import Bearer, digest, matches, new_bearer
from runpass.server.db.engine import Transaction
from runpass.server.relying_parties import store
from runpass.server.relying_parties.model import RelyingParty

REFUSED: Final = "this needs a relying party's id and secret"
_NOBODY: Final = digest(new_bearer(Bearer.NOBODY))


def authenticate(tx: Transaction, authorization: str) -> RelyingParty:
    """Give the relying party behind an `Authorization` header.

    Raises `Unauthenticated` with one sentence whatever was wrong. An unknown id costs as much as a wrong secret.
    """
    claimed, secret = _basic(authorization)
    found = store.find(tx, claimed)
    if not matches(secret, found[1] if found else _NOBODY) or found is None:
        raise Unauthenticated(REFUSED)
    return found[0]


def _basic(authorization: str) -> tuple[RelyingPartyId, Secret]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated(REFUSED)
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        return RelyingPartyId(UUID(unquote_plus(user, errors="strict"))), Secret(
            unquote_plus(password, errors="strict")
        )
    except ValueError as error:  # not base64, not UTF-8 inside, no id
        raise Unauthenticated(REFUSED) from error
