"""What becomes of a run's logins at Vaults: the token that one gave, and its end.

The server hands out an identity token for a login together with a `login_id` and counts a token as outstanding from
that moment on, until it is told otherwise. It is told the token's accessor, never the token.
"""

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field

from runpass.protocol.credentials.fields import Longest
from runpass.protocol.wire import FencingToken, Record, Storable
from runpass.secret import Secret

MAX_ACCESSOR: Final = 512
MAX_SECONDS: Final = 2_147_483_647
"""What the database's whole numbers hold: 68 years."""
MAX_LOGINS: Final = 1_000
"""Logins of one run lease: as many as it may get identity tokens."""
MAX_POLICIES: Final = 64
MAX_POLICY_NAME: Final = 128


def _accessor(value: Secret) -> Secret:
    text = value.reveal()
    if not 0 < len(text) <= MAX_ACCESSOR or not text.isascii() or not text.isprintable():
        raise ValueError("must be the accessor of a token")
    return value


PolicyName = Annotated[str, Field(min_length=1, max_length=MAX_POLICY_NAME), Storable]


class GivenToken(Record):
    """A Vault token as it may be known outside of its run."""

    accessor: Annotated[Secret, AfterValidator(_accessor), Longest(MAX_ACCESSOR)] | None = None
    """None for a batch token: nobody can revoke that."""
    ttl_seconds: Annotated[int, Field(ge=0, le=MAX_SECONDS)]
    """The longest it was ever given, at the login or by a renewal; 0: it does not expire."""
    renewable: bool = False
    policies: Annotated[tuple[PolicyName, ...], Field(max_length=MAX_POLICIES)] | None = None
    """The policies that the token has, as the Vault named them at the login; None: the runner does not say.

    They are for people to read. Of more than `MAX_POLICIES` the first ones are here, and a longer name is cut.
    """
    renewals: Annotated[int, Field(ge=0, le=MAX_SECONDS)] | None = None
    """How often it was renewed; None: the runner does not say."""
    left_seconds: Annotated[int, Field(ge=0, le=MAX_SECONDS)] | None = None
    """How long it lived when this was said; None: the runner does not say, or it does not expire."""


class LoginReport(Record):
    """Runner → server, with the lease's secret: what a login gave. None: no token came of it, or none will."""

    fencing_token: FencingToken
    given: GivenToken | None = None


class LoginEnd(StrEnum):
    """What the runner that logged in knows of the end of its token."""

    NO_TOKEN = "no-token"  # noqa: S105 -- none at all
    REVOKED = "revoked"
    ALREADY_GONE = "already-gone"
    NOT_REVOCABLE = "not-revocable"
    """A batch token: it lives until its TTL is over."""
    NOT_ALLOWED = "not-allowed"
    """No policy lets it revoke itself."""
    FAILED = "failed"
    """The Vault could not be asked."""
    GOING_ON = "going-on"
    """The login had not been answered yet when the run ended."""


class EndedLogin(Record):
    """One login of a run that ends. `given` repeats the report, which may not have arrived."""

    login_id: UUID
    end: LoginEnd
    given: GivenToken | None = None
