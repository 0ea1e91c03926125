"""Key checks: a runner shows a Vault a token that nobody signed, so that it fetches the key set, and tells its answer.

A Vault fetches by itself only when something makes it: an unknown `kid` does. The token can never log in. Beside it a
task may carry a probe, signed with a key under suspicion and expired since 1970: the Vault's words about it tell
whether it still trusts that key.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from runpass.protocol.credentials import CredentialGrant
from runpass.protocol.wire import Record, Text
from runpass.secret import Secret

KEY_CHECKS_PARAMETER: Final = "keyChecks"
"""`true` in the query of a runner that makes key checks as well."""


class KeyCheck(Record):
    """Server → runner: make this Vault fetch the key set."""

    kind: Literal["key-check"] = "key-check"
    task_id: UUID
    task_secret: Secret
    expires_at: datetime
    grant: CredentialGrant
    refetch_token: Secret
    """Its `kid` was never published, its key is thrown away, its `exp` is 2."""
    probe: Secret | None = None
    """All but its times right, signed with the key under suspicion, `exp` is 2."""


class Refetched(StrEnum):
    """What a Vault's answer to the throw-away token means."""

    FETCHED = "fetched"
    """It had the key set just now, could read it, and found no such key in it."""
    FETCH_FAILED = "fetch-failed"
    """It could not fetch the key set, or not read it."""
    PUSHED_KEYS = "pushed-keys"
    """It has keys of its own and fetches nothing."""
    ACCEPTED = "accepted"
    """It let a token in that nobody signed. Its token was revoked at once."""
    NOT_READ = "not-read"
    """It did not come so far, or no answer came that can be understood."""


class ProbeVerdict(StrEnum):
    """What a Vault's answer to a probe says of the key that signed it."""

    REFUSED_SIGNATURE = "refused-signature"
    """The Vault does not know the key."""
    REFUSED_EXPIRED = "refused-expired"
    """The signature was accepted, and what is looked at after it was not: the Vault trusts the key."""
    ACCEPTED = "accepted"
    """The Vault trusts the key, and takes tokens that have expired. Its token was revoked at once."""
    NOT_READ = "not-read"


class KeyCheckReport(Record):
    """Runner → server, with the task's secret."""

    reached: bool
    """Whether the auth method itself answered."""
    refetched: Refetched
    probe_verdict: ProbeVerdict | None = None
    said: Text = ""
    """Vault's own words, bounded and escaped, or why there are none; never a token."""
